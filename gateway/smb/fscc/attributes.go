package fscc

import (
	"causeway"
	"causeway/gateway/smb/ntstatus"
)

// Attributes are FILE_ATTRIBUTE_ bits ([MS-FSCC] 2.6).
type Attributes uint32

// The attributes.
const (
	AttrReadOnly     Attributes = 0x1
	AttrHidden       Attributes = 0x2
	AttrSystem       Attributes = 0x4
	AttrDirectory    Attributes = 0x10
	AttrArchive      Attributes = 0x20
	AttrNormal       Attributes = 0x80 // none of the others
	AttrTemporary    Attributes = 0x100
	AttrSparse       Attributes = 0x200
	AttrReparsePoint Attributes = 0x400
	AttrCompressed   Attributes = 0x800
	AttrOffline      Attributes = 0x1000
	AttrNotIndexed   Attributes = 0x2000
	AttrEncrypted    Attributes = 0x4000
	AttrIntegrity    Attributes = 0x8000
	AttrNoScrub      Attributes = 0x20000
	AttrPinned       Attributes = 0x80000
	AttrUnpinned     Attributes = 0x100000
)

// Settable are the attributes that a client may set by CREATE or SET_INFO and that are kept.
const Settable = AttrReadOnly | AttrHidden | AttrSystem | AttrArchive | AttrTemporary | AttrOffline | AttrNotIndexed | AttrNoScrub | AttrPinned | AttrUnpinned

// Known are the attributes that may stand in a request; others are InvalidParameter.
const Known = Settable | AttrDirectory | AttrNormal | AttrSparse | AttrReparsePoint | AttrCompressed | AttrEncrypted | AttrIntegrity

// DOS is what Windows keeps with a file and POSIX does not: an xattr's contents (see [DOSXattr]). The zero DOS is a file that no
// Windows client has touched.
type DOS struct {
	Recorded   bool       // there is a record: Attributes hold, also if they are zero
	Attributes Attributes // Settable and AttrSparse only
	Creation   FileTime   // 0: the storage's time of birth
	// Change is the time of change that a client set, which the storage cannot keep: it holds as long as the storage's own is not behind
	// Until. 0: none was set.
	Change, Until FileTime
}

// DOSXattr is the name of the extended attribute that holds the record.
const DOSXattr = "user.causeway.dos"

// The record: format number, attributes, creation time.
const (
	dosFormat = 1
	dosSize   = 2 + 4 + 8
	dosChange = dosSize + 8 + 8 // with a time of change
)

// Encode returns the record.
func (d *DOS) Encode() []byte {
	b := le.AppendUint16(make([]byte, 0, dosSize), dosFormat)
	b = le.AppendUint32(b, uint32(d.Attributes&(Settable|AttrSparse)))
	b = le.AppendUint64(b, uint64(d.Creation))
	if d.Change != 0 {
		b = le.AppendUint64(le.AppendUint64(b, uint64(d.Change)), uint64(d.Until))
	}
	return b
}

// DecodeDOS reads a record. Bytes behind it belong to a later format and are ignored; a record that is too short or of format 0
// is InvalidParameter, and its file counts as one without.
func DecodeDOS(b []byte) (DOS, error) {
	if len(b) < dosSize || le.Uint16(b) == 0 {
		return DOS{}, ntstatus.InvalidParameter
	}
	d := DOS{
		Recorded:   true,
		Attributes: Attributes(le.Uint32(b[2:])) & (Settable | AttrSparse),
		Creation:   max(FileTime(le.Uint64(b[6:])), 0),
	}
	if len(b) >= dosChange {
		d.Change, d.Until = max(FileTime(le.Uint64(b[14:])), 0), FileTime(le.Uint64(b[22:]))
	}
	if d.Change == 0 {
		d.Until = 0 // of nothing
	}
	return d, nil
}

// AttributesOf returns what a client sees. Without a record a file is an archive (it changed since nobody's backup), hidden if its
// name starts with a period, and read-only if nobody may write it, as far as the mode tells. A directory is never read-only by
// its mode: in Windows that attribute does not protect it.
func AttributesOf(a *causeway.Attr, d *DOS, name string) Attributes {
	out := d.Attributes
	if !d.Recorded {
		if a.Type == causeway.TypeRegular {
			out = AttrArchive
		}
		if len(name) > 1 && name[0] == '.' && name != ".." {
			out |= AttrHidden
		}
	}
	switch a.Type {
	case causeway.TypeDirectory:
		out = out&^AttrTemporary | AttrDirectory
	case causeway.TypeRegular:
		if a.Mode&0o222 == 0 {
			out |= AttrReadOnly
		}
	default:
		out |= AttrReparsePoint
	}
	if out == 0 {
		return AttrNormal
	}
	return out
}

// Merge returns the record after a client has set attributes (0: keep them, AttrNormal: none). InvalidParameter: an unknown bit,
// a directory's on a file, or temporary on a directory ([MS-FSA] 2.1.5.15.2).
func (d DOS) Merge(set Attributes, dir bool) (DOS, error) {
	if set&^Known != 0 || set&AttrDirectory != 0 && !dir || set&AttrTemporary != 0 && dir {
		return d, ntstatus.InvalidParameter
	}
	if set != 0 {
		d.Recorded, d.Attributes = true, set&Settable|d.Attributes&AttrSparse
	}
	return d, nil
}
