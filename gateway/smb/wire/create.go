package wire

// FileID names an open in a session ([MS-SMB2] 2.2.14.1).
type FileID struct {
	Persistent, Volatile uint64
}

// AnyFile is the FileId of controls that need no open, and of compound elements that mean the open of the one before.
var AnyFile = FileID{1<<64 - 1, 1<<64 - 1}

func fileID(b []byte) FileID { return FileID{le.Uint64(b), le.Uint64(b[8:])} }

func (f FileID) put(b []byte) {
	le.PutUint64(b, f.Persistent)
	le.PutUint64(b[8:], f.Volatile)
}

// Access mask bits ([MS-SMB2] 2.2.13.1).
const (
	AccessReadData        uint32 = 0x00000001 // LIST_DIRECTORY
	AccessWriteData       uint32 = 0x00000002 // ADD_FILE
	AccessAppendData      uint32 = 0x00000004 // ADD_SUBDIRECTORY
	AccessReadEA          uint32 = 0x00000008
	AccessWriteEA         uint32 = 0x00000010
	AccessExecute         uint32 = 0x00000020 // TRAVERSE
	AccessDeleteChild     uint32 = 0x00000040
	AccessReadAttributes  uint32 = 0x00000080
	AccessWriteAttributes uint32 = 0x00000100
	AccessDelete          uint32 = 0x00010000
	AccessReadControl     uint32 = 0x00020000
	AccessWriteDAC        uint32 = 0x00040000
	AccessWriteOwner      uint32 = 0x00080000
	AccessSynchronize     uint32 = 0x00100000
	AccessSystemSecurity  uint32 = 0x01000000
	AccessMaximum         uint32 = 0x02000000
	AccessGenericAll      uint32 = 0x10000000
	AccessGenericExecute  uint32 = 0x20000000
	AccessGenericWrite    uint32 = 0x40000000
	AccessGenericRead     uint32 = 0x80000000
	AccessAll             uint32 = 0x001f01ff
)

// Disposition says what CREATE does with a name ([MS-SMB2] 2.2.13).
type Disposition uint32

// The dispositions.
const (
	Supersede Disposition = iota
	OpenOnly
	CreateOnly
	OpenIf
	Overwrite
	OverwriteIf
)

// Create options ([MS-SMB2] 2.2.13).
const (
	OptDirectory          uint32 = 0x00000001
	OptWriteThrough       uint32 = 0x00000002
	OptSequential         uint32 = 0x00000004
	OptNoBuffering        uint32 = 0x00000008
	OptSyncAlert          uint32 = 0x00000010
	OptSyncNonAlert       uint32 = 0x00000020
	OptNonDirectory       uint32 = 0x00000040
	OptTreeConnection     uint32 = 0x00000080
	OptCompleteIfOplocked uint32 = 0x00000100
	OptNoEAKnowledge      uint32 = 0x00000200
	OptRandom             uint32 = 0x00000800
	OptDeleteOnClose      uint32 = 0x00001000
	OptOpenByFileID       uint32 = 0x00002000
	OptBackupIntent       uint32 = 0x00004000
	OptNoCompression      uint32 = 0x00008000
	OptRemoteInstance     uint32 = 0x00000400
	OptRequiringOplock    uint32 = 0x00010000
	OptDisallowExclusive  uint32 = 0x00020000
	OptReserveOpFilter    uint32 = 0x00100000
	OptReparsePoint       uint32 = 0x00200000
	OptNoRecall           uint32 = 0x00400000
	OptFreeSpaceQuery     uint32 = 0x00800000
)

// Share access bits.
const (
	ShareRead   uint32 = 1
	ShareWrite  uint32 = 2
	ShareDelete uint32 = 4
)

// Oplock levels.
const (
	OplockNone      byte = 0
	OplockII        byte = 1
	OplockExclusive byte = 8
	OplockBatch     byte = 9
	OplockLease     byte = 0xff
)

// What CREATE did.
const (
	ActionSuperseded  uint32 = 0
	ActionOpened      uint32 = 1
	ActionCreated     uint32 = 2
	ActionOverwritten uint32 = 3
)

// CreateRequest is [MS-SMB2] 2.2.13.
type CreateRequest struct {
	Oplock        byte
	Impersonation uint32
	Access        uint32
	Attributes    uint32
	Share         uint32
	Disposition   Disposition
	Options       uint32
	Name          []byte // UTF-16LE, borrowed
	Contexts      []byte // borrowed
}

// Parse decodes the message m.
func (r *CreateRequest) Parse(m []byte) (err error) {
	b, err := body(m, 57, 56)
	if err != nil {
		return err
	}
	*r = CreateRequest{
		Oplock: b[3], Impersonation: le.Uint32(b[4:]), Access: le.Uint32(b[24:]), Attributes: le.Uint32(b[28:]),
		Share: le.Uint32(b[32:]), Disposition: Disposition(le.Uint32(b[36:])), Options: le.Uint32(b[40:]),
	}
	nameOff, nameLen := uint32(le.Uint16(b[44:])), uint32(le.Uint16(b[46:]))
	if r.Name, err = part(m, HeaderSize+56, nameOff, nameLen); err != nil {
		return err
	}
	off := le.Uint32(b[48:])
	if r.Contexts, err = part(m, HeaderSize+56, off, le.Uint32(b[52:])); err != nil {
		return err
	}
	if r.Contexts != nil && (off%8 != 0 || nameLen > 0 && off < nameOff+nameLen) {
		return ErrMalformed
	}
	return nil
}

// FileInfo is what CREATE and CLOSE tell of a file: times as FILETIME, sizes in bytes.
type FileInfo struct {
	Created, Accessed, Written, Changed uint64
	Allocation, EndOfFile               uint64
	Attributes                          uint32
}

func (i *FileInfo) put(b []byte) {
	for n, v := range [...]uint64{i.Created, i.Accessed, i.Written, i.Changed, i.Allocation, i.EndOfFile} {
		le.PutUint64(b[8*n:], v)
	}
	le.PutUint32(b[48:], i.Attributes)
}

// CreateReply is [MS-SMB2] 2.2.14.
type CreateReply struct {
	Oplock   byte
	Action   uint32
	Info     FileInfo
	File     FileID
	Contexts []byte
}

// Append appends the body.
func (r *CreateReply) Append(b []byte) []byte {
	b, f := grow(b, 88)
	le.PutUint16(f, 89)
	f[2] = r.Oplock
	le.PutUint32(f[4:], r.Action)
	r.Info.put(f[8:])
	r.File.put(f[64:])
	if len(r.Contexts) > 0 {
		le.PutUint32(f[80:], HeaderSize+88)
		le.PutUint32(f[84:], uint32(len(r.Contexts)))
	}
	return append(b, r.Contexts...)
}

// CloseAttributes asks CLOSE for the attributes.
const CloseAttributes uint16 = 1

// CloseRequest is [MS-SMB2] 2.2.15.
type CloseRequest struct {
	Flags uint16
	File  FileID
}

// Parse decodes the message m.
func (r *CloseRequest) Parse(m []byte) error {
	b, err := body(m, 24, 24)
	if err == nil {
		r.Flags, r.File = le.Uint16(b[2:]), fileID(b[8:])
	}
	return err
}

// AppendClose appends the body of a reply ([MS-SMB2] 2.2.16); info is nil where no attributes were asked for.
func AppendClose(b []byte, info *FileInfo) []byte {
	b, f := grow(b, 60)
	le.PutUint16(f, 60)
	if info != nil {
		le.PutUint16(f[2:], CloseAttributes)
		info.put(f[8:])
	}
	return b
}

// ParseFlush decodes a FLUSH ([MS-SMB2] 2.2.17).
func ParseFlush(m []byte) (FileID, error) {
	b, err := body(m, 24, 24)
	if err != nil {
		return FileID{}, err
	}
	return fileID(b[8:]), nil
}
