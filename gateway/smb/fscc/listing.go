package fscc

import (
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
)

// Entry is one name in a directory. Name is the stored one; Index the position that the client may resume at.
type Entry struct {
	Object
	Name  string
	Index uint32
}

// MaxListing is the largest answer to a QUERY_DIRECTORY in bytes, whatever the client offers.
const MaxListing = 8 << 20

// entrySizes holds the size of an entry of each class before its name.
var entrySizes = map[FileClass]int{
	FileDirectoryInformation: 64, FileFullDirectoryInformation: 68, FileBothDirectoryInformation: 94, FileNamesInformation: 12,
	FileIDBothDirectoryInformation: 104, FileIDFullDirectoryInformation: 80, FileIDExtdDirectoryInformation: 88, FileIDExtdBothDirectoryInfo: 114,
}

// Listing builds the buffer of a QUERY_DIRECTORY answer ([MS-FSCC] 2.4, [MS-SMB2] 3.3.5.18).
type Listing struct {
	class FileClass
	limit int // index in buf
	start int // index in buf: entries are aligned from here on
	last  int // index in buf of the last entry
	buf   []byte
	count int
}

// NewListing starts a listing behind what buf holds, of at most max bytes. InvalidInfoClass: no class of listings;
// InfoLengthMismatch: not even an entry without a name fits.
func NewListing(class FileClass, buf []byte, max int) (*Listing, error) {
	size, ok := entrySizes[class]
	if !ok {
		return nil, ntstatus.InvalidInfoClass
	}
	if max < size {
		return nil, ntstatus.InfoLengthMismatch
	}
	return &Listing{class: class, buf: buf, start: len(buf), limit: len(buf) + min(max, MaxListing)}, nil
}

// Len returns the number of entries.
func (l *Listing) Len() int { return l.count }

// Bytes returns the buffer, with what it held before.
func (l *Listing) Bytes() []byte { return l.buf }

// Add appends an entry, or returns false and changes nothing if it does not fit. If it is the first, the answer is
// InfoLengthMismatch: a listing never ends because of a client's small buffer.
func (l *Listing) Add(e *Entry) bool {
	old, at := len(l.buf), len(l.buf)
	if l.count > 0 {
		at = l.start + (old-l.start+7)&^7
	}
	size := entrySizes[l.class]
	if at+size > l.limit { // the name is measured only if the rest fits
		return false
	}
	dst := append(l.buf, make([]byte, at-old)...)
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint32(dst, e.Index)
	if l.class == FileNamesInformation {
		dst = le.AppendUint32(dst, 0)
	} else {
		dst = l.appendFields(dst, e)
	}
	name := len(dst)
	dst = names.AppendWire(dst, e.Name)
	if len(dst) > l.limit {
		l.buf = dst[:old]
		return false
	}
	lengthAt := at + 60
	if l.class == FileNamesInformation {
		lengthAt = at + 8
	}
	le.PutUint32(dst[lengthAt:], uint32(len(dst)-name))
	if l.count > 0 {
		le.PutUint32(dst[l.last:], uint32(at-l.last))
	}
	l.buf, l.last, l.count = dst, at, l.count+1
	return true
}

// appendFields appends what stands between the index and the name. In place of a reparse point's EA size stands its tag.
func (l *Listing) appendFields(dst []byte, e *Entry) []byte {
	dst = e.appendTimes(dst)
	dst = le.AppendUint64(dst, e.EndOfFile)
	dst = le.AppendUint64(dst, e.Allocation)
	dst = le.AppendUint32(dst, uint32(e.Attributes))
	dst = le.AppendUint32(dst, 0) // the name's length
	ea := e.EASize
	if e.Attributes&AttrReparsePoint != 0 {
		ea = e.ReparseTag
	}
	switch l.class {
	case FileDirectoryInformation:
	case FileFullDirectoryInformation:
		dst = le.AppendUint32(dst, ea)
	case FileBothDirectoryInformation:
		dst = append(le.AppendUint32(dst, ea), make([]byte, 26)...) // no short name
	case FileIDBothDirectoryInformation:
		dst = append(le.AppendUint32(dst, ea), make([]byte, 28)...)
		dst = le.AppendUint64(dst, e.FileID)
	case FileIDFullDirectoryInformation:
		dst = le.AppendUint32(le.AppendUint32(dst, ea), 0)
		dst = le.AppendUint64(dst, e.FileID)
	case FileIDExtdDirectoryInformation, FileIDExtdBothDirectoryInfo:
		dst = le.AppendUint32(dst, e.EASize)
		dst = le.AppendUint32(dst, e.ReparseTag)
		dst = le.AppendUint64(le.AppendUint64(dst, e.FileID), 0)
		if l.class == FileIDExtdBothDirectoryInfo {
			dst = append(dst, make([]byte, 26)...)
		}
	}
	return dst
}
