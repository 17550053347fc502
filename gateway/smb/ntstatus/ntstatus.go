// Package ntstatus holds the NTSTATUS values that the SMB front answers ([MS-ERREF] 2.3). A Status is an error, so that the
// pure rooms of the front (fscc, names, contexts, …) return what the wire will say. Mapping causeway.Code to a Status does not
// belong here: the front does it once.
package ntstatus

import "fmt"

// Status is an NTSTATUS. OK is zero; a decoder returns nil rather than OK.
type Status uint32

// The values, named as in [MS-ERREF] 2.3.1.
const (
	OK                      Status = 0
	Pending                 Status = 0x00000103
	NotifyCleanup           Status = 0x0000010B
	NotifyEnumDir           Status = 0x0000010C
	BufferOverflow          Status = 0x80000005 // a warning: the answer is there, and cut
	NoMoreFiles             Status = 0x80000006
	InvalidEAName           Status = 0x80000013
	StoppedOnSymlink        Status = 0x8000002D
	Unsuccessful            Status = 0xC0000001
	NotImplemented          Status = 0xC0000002
	InvalidInfoClass        Status = 0xC0000003
	InfoLengthMismatch      Status = 0xC0000004
	InvalidHandle           Status = 0xC0000008
	InvalidParameter        Status = 0xC000000D
	NoSuchFile              Status = 0xC000000F
	InvalidDeviceRequest    Status = 0xC0000010
	EndOfFile               Status = 0xC0000011
	MoreProcessingRequired  Status = 0xC0000016
	AccessDenied            Status = 0xC0000022
	BufferTooSmall          Status = 0xC0000023
	ObjectNameInvalid       Status = 0xC0000033
	ObjectNameNotFound      Status = 0xC0000034
	ObjectNameCollision     Status = 0xC0000035
	ObjectPathNotFound      Status = 0xC000003A
	ObjectPathSyntaxBad     Status = 0xC000003B
	SharingViolation        Status = 0xC0000043
	EAsNotSupported         Status = 0xC000004F
	EATooLarge              Status = 0xC0000050
	NonexistentEAEntry      Status = 0xC0000051
	NoEAsOnFile             Status = 0xC0000052
	EACorruptError          Status = 0xC0000053
	FileLockConflict        Status = 0xC0000054
	LockNotGranted          Status = 0xC0000055
	DeletePending           Status = 0xC0000056
	UnknownRevision         Status = 0xC0000058
	InvalidOwner            Status = 0xC000005A
	PrivilegeNotHeld        Status = 0xC0000061
	LogonFailure            Status = 0xC000006D
	NoneMapped              Status = 0xC0000073
	InvalidACL              Status = 0xC0000077
	InvalidSID              Status = 0xC0000078
	InvalidSecurityDescr    Status = 0xC0000079
	RangeNotLocked          Status = 0xC000007E
	DiskFull                Status = 0xC000007F
	InsufficientResources   Status = 0xC000009A
	MediaWriteProtected     Status = 0xC00000A2
	InstanceNotAvailable    Status = 0xC00000AB
	PipeNotAvailable        Status = 0xC00000AC
	InvalidPipeState        Status = 0xC00000AD
	PipeBusy                Status = 0xC00000AE
	PipeDisconnected        Status = 0xC00000B0
	PipeClosing             Status = 0xC00000B1
	PipeEmpty               Status = 0xC00000D9
	FileIsADirectory        Status = 0xC00000BA
	NotSupported            Status = 0xC00000BB
	BadNetworkPath          Status = 0xC00000BE
	NetworkAccessDenied     Status = 0xC00000CA
	BadNetworkName          Status = 0xC00000CC
	RequestNotAccepted      Status = 0xC00000D0
	InternalError           Status = 0xC00000E5
	DirectoryNotEmpty       Status = 0xC0000101
	NotADirectory           Status = 0xC0000103
	NameTooLong             Status = 0xC0000106
	Cancelled               Status = 0xC0000120
	CannotDelete            Status = 0xC0000121
	FileClosed              Status = 0xC0000128
	UserSessionDeleted      Status = 0xC0000203
	NotFound                Status = 0xC0000225
	InvalidLockRange        Status = 0xC00001A1
	NotSameDevice           Status = 0xC00000D4
	PathNotCovered          Status = 0xC0000257
	NetworkSessionExpired   Status = 0xC000035C
	NotAReparsePoint        Status = 0xC0000275
	IOReparseTagInvalid     Status = 0xC0000276
	IOReparseTagMismatch    Status = 0xC0000277
	IOReparseDataInvalid    Status = 0xC0000278
	ServerUnavailable       Status = 0xC0000466
	FileNotAvailable        Status = 0xC0000467
	InvalidDeviceState      Status = 0xC0000184
	VolumeDismounted        Status = 0xC000026E
	DeviceFeatureNotSupport Status = 0xC0000463
)

// Error returns the number in the usual form.
func (s Status) Error() string { return fmt.Sprintf("NTSTATUS %#010x", uint32(s)) }

// IsError reports whether s says that nothing was done: warnings (BufferOverflow) and information do not.
func (s Status) IsError() bool { return s>>30 == 3 }
