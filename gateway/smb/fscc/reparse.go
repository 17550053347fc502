package fscc

import (
	"bytes"
	"slices"
	"strings"

	"causeway"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
)

// Reparse tags ([MS-FSCC] 2.1.2.1).
const (
	TagSymlink uint32 = 0xA000000C
	TagNFS     uint32 = 0x80000014 // what is no file, directory or symbolic link
)

// MaxReparse is the largest reparse buffer in bytes ([MS-FSCC] 2.1.2).
const MaxReparse = 16 << 10

const (
	symlinkHeader   = 8 + 12
	symlinkRelative = 1
)

// The types of special files in an NFS reparse point, as ASCII in the first four of eight bytes ([MS-FSCC] 2.1.2.6).
var nfsTypes = map[causeway.FileType]string{
	causeway.TypeFIFO: "FIFO", causeway.TypeSocket: "SOCK", causeway.TypeChar: "CHR\x00", causeway.TypeBlock: "BLK\x00",
}

// TagOf returns the reparse tag of objects of a type, 0 if they are no reparse points.
func TagOf(t causeway.FileType) uint32 {
	switch t {
	case causeway.TypeSymlink:
		return TagSymlink
	case causeway.TypeBlock, causeway.TypeChar, causeway.TypeSocket, causeway.TypeFIFO:
		return TagNFS
	}
	return 0
}

// Reparse is what a client asks to make of a file by FSCTL_SET_REPARSE_POINT.
type Reparse struct {
	Type         causeway.FileType
	Target       string // of a symbolic link, as POSIX spells it
	Major, Minor uint32 // of a device
}

// AppendSymlink appends the REPARSE_DATA_BUFFER of a symbolic link ([MS-FSCC] 2.1.2.4): "\" for "/", other characters as in names. A
// target that is absolute for POSIX starts with "\" and is marked as relative: for a client it starts at the share's root.
// BufferTooSmall: it is longer than max or MaxReparse.
func AppendSymlink(dst []byte, target string, max int) ([]byte, error) {
	path := wireTarget(target)
	if symlinkHeader+2*len(path) > min(max, MaxReparse) {
		return dst, ntstatus.BufferTooSmall
	}
	dst = le.AppendUint32(dst, TagSymlink)
	dst = le.AppendUint16(dst, uint16(12+2*len(path)))
	dst = le.AppendUint16(dst, 0)
	dst = appendSymlinkNames(dst, len(path))
	dst = le.AppendUint32(dst, symlinkRelative)
	return append(append(dst, path...), path...), nil
}

// appendSymlinkNames appends offsets and lengths of the substitute name and the print name that follows it.
func appendSymlinkNames(dst []byte, length int) []byte {
	for _, n := range [4]int{0, length, length, length} {
		dst = le.AppendUint16(dst, uint16(n))
	}
	return dst
}

// wireTarget converts component by component: "a:b/../c" to "a<F022>b\..\c".
func wireTarget(target string) (path []byte) {
	for i, part := range strings.Split(target, "/") {
		if i > 0 {
			path = append(path, '\\', 0)
		}
		path = names.AppendWire(path, part)
	}
	return path
}

// AppendSymlinkError appends the SYMLINK_ERROR_RESPONSE that goes with StoppedOnSymlink ([MS-SMB2] 2.2.2.2.1): target of the link, and
// how many bytes of the path that was asked for had not been walked. It fails as AppendSymlink does.
func AppendSymlinkError(dst []byte, target string, unparsed uint16) ([]byte, error) {
	at := len(dst)
	dst, err := AppendSymlink(append(dst, "\x00\x00\x00\x00SYML"...), target, MaxReparse)
	if err != nil {
		return dst[:at], err
	}
	le.PutUint32(dst[at:], uint32(len(dst)-at-4))
	le.PutUint16(dst[at+14:], unparsed)
	return dst, nil
}

// DecodeReparse reads a REPARSE_DATA_BUFFER of a request. IOReparseDataInvalid: lengths that do not fit; IOReparseTagMismatch: a tag
// that is not kept; for a symbolic link ObjectNameInvalid, also where its target is on a drive or a server.
func DecodeReparse(b []byte) (Reparse, error) {
	if len(b) < 8 || len(b) > MaxReparse || int(le.Uint16(b[4:])) != len(b)-8 {
		return Reparse{}, ntstatus.IOReparseDataInvalid
	}
	switch tag, data := le.Uint32(b), b[8:]; tag {
	case TagSymlink:
		return decodeSymlink(data)
	case TagNFS:
		return decodeSpecial(data)
	}
	return Reparse{}, ntstatus.IOReparseTagMismatch
}

func decodeSymlink(b []byte) (Reparse, error) {
	if len(b) < 12 {
		return Reparse{}, ntstatus.IOReparseDataInvalid
	}
	off, n := int(le.Uint16(b)), int(le.Uint16(b[2:]))
	if path := b[12:]; off+n <= len(path) && n > 0 && n%2 == 0 && off%2 == 0 {
		target, err := storedTarget(path[off : off+n])
		return Reparse{Type: causeway.TypeSymlink, Target: target}, err
	}
	return Reparse{}, ntstatus.IOReparseDataInvalid
}

func storedTarget(wire []byte) (string, error) {
	units, err := names.Parse(wire, MaxReparse)
	if err != nil {
		return "", ntstatus.IOReparseDataInvalid
	}
	if i := slices.Index(units, ':'); i >= 0 || len(units) > 1 && units[0] == '\\' && units[1] == '\\' {
		return "", ntstatus.ObjectNameInvalid
	}
	var target []byte
	for i := 0; ; i++ {
		if i > 0 {
			target = append(target, '/')
		}
		end := slices.IndexFunc(units, func(u uint16) bool { return u == '\\' || u == '/' })
		part := units
		if end >= 0 {
			part = units[:end]
		}
		if len(part) > 0 { // doubled separators mean nothing
			name, err := names.Stored(part)
			if err != nil {
				return "", err
			}
			target = append(target, name...)
		}
		if end < 0 {
			break
		}
		units = units[end+1:]
	}
	if len(target) > causeway.MaxPath || bytes.IndexByte(target, 0) >= 0 {
		return "", ntstatus.ObjectNameInvalid
	}
	return string(target), nil
}

func decodeSpecial(b []byte) (Reparse, error) {
	if len(b) < 8 {
		return Reparse{}, ntstatus.IOReparseDataInvalid
	}
	name := string(b[:4])
	for t, n := range nfsTypes {
		switch {
		case n != name:
		case len(b) == 8 && (t == causeway.TypeFIFO || t == causeway.TypeSocket):
			return Reparse{Type: t}, nil
		case len(b) == 16 && (t == causeway.TypeChar || t == causeway.TypeBlock):
			return Reparse{Type: t, Major: le.Uint32(b[8:]), Minor: le.Uint32(b[12:])}, nil
		}
	}
	return Reparse{}, ntstatus.IOReparseDataInvalid
}
