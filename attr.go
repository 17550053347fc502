package causeway

import "time"

// FileType is the type of an object. Zero means unknown: an Attr with it holds nothing.
type FileType uint8

// The file types, in the order of RFC 1813 §2.3.5 (ftype3).
const (
	TypeRegular FileType = iota + 1
	TypeDirectory
	TypeBlock
	TypeChar
	TypeSymlink
	TypeSocket
	TypeFIFO
)

// Mode bits beyond rwxrwxrwx.
const (
	ModeSetUID uint32 = 0o4000
	ModeSetGID uint32 = 0o2000
	ModeSticky uint32 = 0o1000
	ModePerm   uint32 = 0o777
	ModeAll    uint32 = 0o7777
)

// Time is a file time to the nanosecond, in seconds since 1970 (negative before).
type Time struct {
	Sec  int64
	Nsec uint32
}

// TimeOf converts a time.Time.
func TimeOf(t time.Time) Time { return Time{t.Unix(), uint32(t.Nanosecond())} }

// Std converts to time.Time.
func (t Time) Std() time.Time { return time.Unix(t.Sec, int64(t.Nsec)) }

// Compare returns -1, 0 or 1.
func (t Time) Compare(u Time) int {
	switch {
	case t.Sec < u.Sec || t.Sec == u.Sec && t.Nsec < u.Nsec:
		return -1
	case t == u:
		return 0
	}
	return 1
}

// Attr is what is known of an object. The zero Attr means "not known" (Valid is false).
type Attr struct {
	Type                       FileType
	Mode                       uint32 // ModeAll bits only
	Nlink                      uint32
	UID, GID                   uint32
	Size                       uint64 // bytes
	Used                       uint64 // bytes of storage
	Major, Minor               uint32 // of a block or character device
	FileID                     uint64 // inode number: unique in the volume among living objects
	Atime, Mtime, Ctime, Btime Time   // Btime is zero where the storage keeps none
	Change                     uint64 // rises with every change of data or attributes, as well as the storage can tell
	ACL                        *ACL   // access ACL beyond the mode bits, nil if there is none; shared, never modified
	Extended                   bool   // there may be an ACL that was not read: ask the backend before Permit, see NeedsACL
}

// Valid reports whether the attributes are known.
func (a *Attr) Valid() bool { return a.Type != 0 }

// Change is the state of an object around a change of it (RFC 1813 §2.6, wcc_data). Before is valid only when nothing else
// changed the object through this gateway between the two; After is valid when it could be read.
type Change struct {
	Before, After Attr
}

// SetMask says which fields of a SetAttr are meant.
type SetMask uint16

// The attributes that can be set.
const (
	SetMode SetMask = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
	SetAtimeNow // to the server's time; wins over SetAtime
	SetMtimeNow
	SetACL // access ACL; with a nil ACL it is removed
	SetDefaultACL
)

// SetAttr is a change of attributes: the fields whose bits are in Mask.
type SetAttr struct {
	Mask         SetMask
	Mode         uint32
	UID, GID     uint32
	Size         uint64
	Atime, Mtime Time
	ACL          *ACL
	DefaultACL   *ACL
}

// Has reports whether any of the bits is set.
func (s *SetAttr) Has(m SetMask) bool { return s.Mask&m != 0 }

// FSStat is the state of a volume's storage in bytes and objects (RFC 1813 §3.3.18); Avail is what an unprivileged user may
// still use.
type FSStat struct {
	TotalBytes, FreeBytes, AvailBytes uint64
	TotalFiles, FreeFiles, AvailFiles uint64
	BlockSize                         uint32
	ReadOnly                          bool
}

// DirEntry is one entry of a directory. Cookie is the position behind the entry: a property of the storage, the same at all
// gateways and after restarts. Object and Attr are zero unless they were asked for and could be found.
type DirEntry struct {
	Name   string // borrowed: valid until the callback returns
	Cookie uint64
	FileID uint64
	Type   FileType // zero if the storage does not tell it with the name
	Object ObjectID
	Attr   Attr
}

// Stability is how far a write must have come before it is answered (RFC 1813 §3.3.7, stable_how).
type Stability uint8

// The stabilities, in wire order.
const (
	Unstable Stability = iota
	DataSync
	FileSync
)
