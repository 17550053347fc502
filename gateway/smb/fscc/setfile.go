package fscc

import (
	"causeway/gateway/smb/ntstatus"
)

// Basic is a FILE_BASIC_INFORMATION in a SET_INFO ([MS-FSCC] 2.4.7).
type Basic struct {
	Creation, Access, Write, Change FileTime
	Attributes                      Attributes // 0: keep
}

// DecodeBasic reads one: InfoLengthMismatch, or InvalidParameter for a time that is none.
func DecodeBasic(b []byte) (Basic, error) {
	if len(b) < 40 {
		return Basic{}, ntstatus.InfoLengthMismatch
	}
	var t [4]FileTime
	for i := range t {
		if t[i] = FileTime(le.Uint64(b[8*i:])); !t[i].Valid() {
			return Basic{}, ntstatus.InvalidParameter
		}
	}
	return Basic{t[0], t[1], t[2], t[3], Attributes(le.Uint32(b[32:]))}, nil
}

// DecodeSize reads the size of a FILE_END_OF_FILE_, FILE_ALLOCATION_ or FILE_VALID_DATA_LENGTH_INFORMATION, or the offset of a
// FILE_POSITION_INFORMATION ([MS-FSCC] 2.4.14, 2.4.4, 2.4.49, 2.4.40): InvalidParameter if it is negative.
func DecodeSize(b []byte) (uint64, error) {
	if len(b) < 8 {
		return 0, ntstatus.InfoLengthMismatch
	}
	if b[7] >= 0x80 {
		return 0, ntstatus.InvalidParameter
	}
	return le.Uint64(b), nil
}

// ModeMask are the bits of a FILE_MODE_INFORMATION ([MS-FSCC] 2.4.31).
const ModeMask = 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x1000

// DecodeMode reads one: InvalidParameter for other bits than ModeMask, or both kinds of synchronous I/O.
func DecodeMode(b []byte) (uint32, error) {
	if len(b) < 4 {
		return 0, ntstatus.InfoLengthMismatch
	}
	mode := le.Uint32(b)
	if mode&^ModeMask != 0 || mode&0x30 == 0x30 {
		return 0, ntstatus.InvalidParameter
	}
	return mode, nil
}

// Disposition says what becomes of a file's name when its last handle is closed ([MS-FSCC] 2.4.11, 2.4.12).
type Disposition struct {
	Delete         bool
	POSIX          bool // the name goes when this handle is closed, others may keep the file open
	ForceImage     bool
	OnClose        bool // Delete sets or clears the open's delete-on-close instead
	IgnoreReadOnly bool
}

// DecodeDisposition reads a FILE_DISPOSITION_INFORMATION or, with ex, a FILE_DISPOSITION_INFORMATION_EX.
func DecodeDisposition(b []byte, ex bool) (Disposition, error) {
	if !ex {
		if len(b) < 1 {
			return Disposition{}, ntstatus.InfoLengthMismatch
		}
		return Disposition{Delete: b[0] != 0}, nil
	}
	if len(b) < 4 {
		return Disposition{}, ntstatus.InfoLengthMismatch
	}
	flags := le.Uint32(b)
	if flags&^0x1F != 0 {
		return Disposition{}, ntstatus.InvalidParameter
	}
	return Disposition{flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&8 != 0, flags&0x10 != 0}, nil
}

// Rename is a FILE_RENAME_INFORMATION or FILE_LINK_INFORMATION ([MS-FSCC] 2.4.37.2, 2.4.38, 2.4.27.2).
type Rename struct {
	Replace        bool
	POSIX          bool   // replace what others have open
	IgnoreReadOnly bool   // replace what is read-only
	Path           []byte // from the share's root, UTF-16LE; for names.Split. Borrowed
}

// DecodeRename reads one; ex: its first field is the flags of FILE_RENAME_INFORMATION_EX. InvalidParameter: a root directory (SMB
// has none), a name of odd length or none; InfoLengthMismatch: it ends too early.
func DecodeRename(b []byte, ex bool) (Rename, error) {
	if len(b) < 20 {
		return Rename{}, ntstatus.InfoLengthMismatch
	}
	length := le.Uint32(b[16:])
	if uint64(length) > uint64(len(b)-20) {
		return Rename{}, ntstatus.InfoLengthMismatch
	}
	if le.Uint64(b[8:]) != 0 || length == 0 || length%2 != 0 {
		return Rename{}, ntstatus.InvalidParameter
	}
	r := Rename{Replace: b[0] != 0, Path: b[20 : 20+length]}
	if ex {
		flags := le.Uint32(b)
		r.Replace, r.POSIX, r.IgnoreReadOnly = flags&1 != 0, flags&2 != 0, flags&0x40 != 0
	}
	return r, nil
}

// EA is an extended attribute of a FILE_FULL_EA_INFORMATION list ([MS-FSCC] 2.4.16). Name and Value are borrowed.
type EA struct {
	Name, Value []byte
	Need        bool // who does not understand the attribute must not open the file
}

// MaxEAs is the largest number of attributes in one list that is taken.
const MaxEAs = 1024

// DecodeEAs reads the list: EACorruptError if its chain is broken or longer than MaxEAs, InvalidEAName for an empty name.
func DecodeEAs(b []byte) ([]EA, error) {
	var list []EA
	for len(b) > 0 {
		if len(b) < 8 || len(list) == MaxEAs {
			return nil, ntstatus.EACorruptError
		}
		next, nameLen, valueLen := le.Uint32(b), int(b[5]), int(le.Uint16(b[6:]))
		end := 8 + nameLen + 1 + valueLen
		if end > len(b) || next != 0 && (next%4 != 0 || uint64(next) < uint64(end) || uint64(next) >= uint64(len(b))) {
			return nil, ntstatus.EACorruptError
		}
		if nameLen == 0 || b[8+nameLen] != 0 {
			return nil, ntstatus.InvalidEAName
		}
		list = append(list, EA{Name: b[8 : 8+nameLen], Value: b[9+nameLen : end], Need: b[4]&0x80 != 0})
		if next == 0 {
			break
		}
		b = b[next:]
	}
	return list, nil
}
