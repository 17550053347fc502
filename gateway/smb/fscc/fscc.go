// Package fscc encodes and decodes the structures of [MS-FSCC]: file information, listings, file system information, reparse
// points, the buffers of FSCTLs, change notifications; and maps causeway's attributes and times to Windows' and back.
//
// It is pure: what the values are is the front's business, and so are rights. Encoders append to a buffer of the caller and never
// beyond the limit that the client gave; decoders check every length before they use it, and return ntstatus.Status errors.
package fscc

import "encoding/binary"

var le = binary.LittleEndian

// FileClass is a file information class ([MS-FSCC] 2.4).
type FileClass uint8

// The classes that are known here. Others are InvalidInfoClass or NotSupported.
const (
	FileDirectoryInformation       FileClass = 1
	FileFullDirectoryInformation   FileClass = 2
	FileBothDirectoryInformation   FileClass = 3
	FileBasicInformation           FileClass = 4
	FileStandardInformation        FileClass = 5
	FileInternalInformation        FileClass = 6
	FileEaInformation              FileClass = 7
	FileAccessInformation          FileClass = 8
	FileNameInformation            FileClass = 9
	FileRenameInformation          FileClass = 10
	FileLinkInformation            FileClass = 11
	FileNamesInformation           FileClass = 12
	FileDispositionInformation     FileClass = 13
	FilePositionInformation        FileClass = 14
	FileFullEaInformation          FileClass = 15
	FileModeInformation            FileClass = 16
	FileAlignmentInformation       FileClass = 17
	FileAllInformation             FileClass = 18
	FileAllocationInformation      FileClass = 19
	FileEndOfFileInformation       FileClass = 20
	FileAlternateNameInformation   FileClass = 21
	FileStreamInformation          FileClass = 22
	FilePipeInformation            FileClass = 23
	FilePipeLocalInformation       FileClass = 24
	FileCompressionInformation     FileClass = 28
	FileObjectIDInformation        FileClass = 29
	FileQuotaInformation           FileClass = 32
	FileReparsePointInformation    FileClass = 33
	FileNetworkOpenInformation     FileClass = 34
	FileAttributeTagInformation    FileClass = 35
	FileIDBothDirectoryInformation FileClass = 37
	FileIDFullDirectoryInformation FileClass = 38
	FileValidDataLengthInformation FileClass = 39
	FileShortNameInformation       FileClass = 40
	FileNormalizedNameInformation  FileClass = 48
	FileIDInformation              FileClass = 59
	FileIDExtdDirectoryInformation FileClass = 60
	FileIDExtdBothDirectoryInfo    FileClass = 63
	FileDispositionInformationEx   FileClass = 64
	FileRenameInformationEx        FileClass = 65
)

// FSClass is a file system information class ([MS-FSCC] 2.5).
type FSClass uint8

// The classes.
const (
	FSVolumeInformation     FSClass = 1
	FSLabelInformation      FSClass = 2
	FSSizeInformation       FSClass = 3
	FSDeviceInformation     FSClass = 4
	FSAttributeInformation  FSClass = 5
	FSControlInformation    FSClass = 6
	FSFullSizeInformation   FSClass = 7
	FSObjectIDInformation   FSClass = 8
	FSSectorSizeInformation FSClass = 11
)
