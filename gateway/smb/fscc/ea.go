package fscc

import (
	"causeway/gateway/smb/ntstatus"
)

// eaSize is what an attribute takes in a FILE_FULL_EA_INFORMATION list, but for the padding in front of the next one.
func eaSize(e *EA) int { return 8 + len(e.Name) + 1 + len(e.Value) }

// EASize is the size of all attributes as FILE_EA_INFORMATION tells it ([MS-FSCC] 2.4.13): that of the list that holds them.
func EASize(list []EA) uint32 {
	total := 0
	for i := range list {
		total = (total+3)&^3 + eaSize(&list[i])
	}
	return uint32(total)
}

// AppendEAs appends a FILE_FULL_EA_INFORMATION list of as many attributes as fit into max bytes: BufferOverflow if some do not,
// BufferTooSmall if none does, NoEAsOnFile if there are none ([MS-FSCC] 2.4.16).
func AppendEAs(dst []byte, list []EA, max int) ([]byte, error) {
	if len(list) == 0 {
		return dst, ntstatus.NoEAsOnFile
	}
	start, last := len(dst), -1
	for i := range list {
		e := &list[i]
		at := (len(dst)-start+3)&^3 + start
		if at-start+eaSize(e) > max || len(e.Name) > 255 || len(e.Value) > 65535 {
			if last < 0 {
				return dst, ntstatus.BufferTooSmall
			}
			return dst, ntstatus.BufferOverflow
		}
		if last >= 0 {
			le.PutUint32(dst[last:], uint32(at-last))
		}
		dst = append(dst, make([]byte, at-len(dst))...)
		last = at
		dst = append(dst, 0, 0, 0, 0, 0, byte(len(e.Name)))
		dst = le.AppendUint16(dst, uint16(len(e.Value)))
		dst = append(append(dst, e.Name...), 0)
		dst = append(dst, e.Value...)
	}
	return dst, nil
}
