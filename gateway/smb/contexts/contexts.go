// Package contexts reads and builds the lists of create contexts of SMB2 CREATE ([MS-SMB2] 2.2.13.2, 2.2.14.2), and what is in those that
// clients send. It is pure; what becomes of a durable handle or a lease is the front's and lockmgr's business.
package contexts

import (
	"encoding/binary"

	"causeway/gateway/smb/ntstatus"
)

var le = binary.LittleEndian

// The names of contexts. Those of 16 bytes are GUIDs.
const (
	EABuffer           = "ExtA"
	SecurityDescr      = "SecD"
	DurableRequest     = "DHnQ"
	DurableReconnect   = "DHnC"
	AllocationSize     = "AlSi"
	MaximalAccess      = "MxAc"
	TimewarpToken      = "TWrp"
	QueryOnDiskID      = "QFid"
	Lease              = "RqLs" // both versions: the data's length tells which
	DurableV2Request   = "DH2Q"
	DurableV2Reconnect = "DH2C"
	Apple              = "AAPL"
	AppInstanceID      = "\x45\xBC\xA6\x6A\xEF\xA7\xF7\x4A\x90\x08\xFA\x46\x2E\x14\x4D\x74"
	AppInstanceVer     = "\xB9\x82\xD0\xB7\x3B\x56\x07\x4F\xA0\x7B\x52\x4A\x81\x16\xA0\x10"
	POSIX              = "\x93\xAD\x25\x50\x9C\xB4\x11\xE7\xB4\x23\x83\xDE\x96\x8B\xCD\x7C"
)

// Bounds of a list.
const (
	MaxContexts = 32
	MaxList     = 128 << 10 // bytes: a list of attributes of 64 KiB, a descriptor, and the rest
)

// Context is one of a list. Name and Data are borrowed from the request.
type Context struct {
	Name string
	Data []byte
}

const header = 16

// Parse reads a list. InvalidParameter: a chain that goes back, past the end or on beyond MaxContexts; parts outside of their context; a
// name of less than four bytes; the same name twice: no client does that, and which one counted would be a guess.
func Parse(b []byte) ([]Context, error) {
	if len(b) > MaxList {
		return nil, ntstatus.InvalidParameter
	}
	var list []Context
	for len(b) > 0 {
		if len(b) < header || len(list) == MaxContexts {
			return nil, ntstatus.InvalidParameter
		}
		next := le.Uint32(b)
		one := b
		if next != 0 {
			if next%8 != 0 || next < header || uint64(next) >= uint64(len(b)) {
				return nil, ntstatus.InvalidParameter
			}
			one = b[:next]
		}
		c, err := parseOne(one)
		if err != nil {
			return nil, err
		}
		if Find(list, c.Name) != nil {
			return nil, ntstatus.InvalidParameter
		}
		list = append(list, c)
		if next == 0 {
			break
		}
		b = b[next:]
	}
	return list, nil
}

func parseOne(b []byte) (Context, error) {
	nameOff, nameLen := int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	dataOff, dataLen := uint64(le.Uint16(b[10:])), uint64(le.Uint32(b[12:]))
	if nameLen < 4 || nameOff < header || nameOff+nameLen > len(b) {
		return Context{}, ntstatus.InvalidParameter
	}
	c := Context{Name: string(b[nameOff : nameOff+nameLen])}
	if dataLen == 0 {
		return c, nil
	}
	if dataOff < uint64(nameOff+nameLen) || dataOff%8 != 0 || dataOff+dataLen > uint64(len(b)) {
		return Context{}, ntstatus.InvalidParameter
	}
	c.Data = b[dataOff : dataOff+dataLen]
	return c, nil
}

// Find returns the context of a name, nil if there is none.
func Find(list []Context, name string) *Context {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// Append appends a list in wire form. The buffer's length must be a multiple of 8 from the start of the SMB2 header.
func Append(dst []byte, list []Context) []byte {
	last := -1
	for _, c := range list {
		if last >= 0 {
			for (len(dst)-last)%8 != 0 {
				dst = append(dst, 0)
			}
			le.PutUint32(dst[last:], uint32(len(dst)-last))
		}
		last = len(dst)
		dataOff := 0
		if len(c.Data) > 0 {
			dataOff = (header + len(c.Name) + 7) &^ 7
		}
		dst = le.AppendUint32(dst, 0)
		dst = le.AppendUint16(dst, header)
		dst = le.AppendUint16(dst, uint16(len(c.Name)))
		dst = append(dst, 0, 0)
		dst = le.AppendUint16(dst, uint16(dataOff))
		dst = le.AppendUint32(dst, uint32(len(c.Data)))
		dst = append(dst, c.Name...)
		if len(c.Data) > 0 {
			dst = append(append(dst, make([]byte, dataOff-header-len(c.Name))...), c.Data...)
		}
	}
	return dst
}
