package fscc

import (
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
)

// Action is what happened to a name, by its number in [MS-FSCC] 2.7.1.
type Action uint32

// NotifyAll is all bits of a completion filter ([MS-SMB2] 2.2.35).
const NotifyAll uint32 = 0xFFF

// Notice is one change below a watched directory. Path holds the stored names from there on.
type Notice struct {
	Action Action
	Path   []string
}

// AppendNotices appends a FILE_NOTIFY_INFORMATION list of all notices ([MS-FSCC] 2.7.1). If they are longer than max bytes nothing is
// appended, and the error is NotifyEnumDir: the client has to list the directory itself ([MS-SMB2] 3.3.4.4).
func AppendNotices(dst []byte, notices []Notice, max int) ([]byte, error) {
	start, last := len(dst), -1
	for _, n := range notices {
		for (len(dst)-start)%4 != 0 {
			dst = append(dst, 0)
		}
		if last >= 0 {
			le.PutUint32(dst[last:], uint32(len(dst)-last))
		}
		last = len(dst)
		dst = le.AppendUint32(dst, 0)
		dst = le.AppendUint32(dst, uint32(n.Action))
		dst = le.AppendUint32(dst, 0)
		dst = names.AppendPath(dst, n.Path)
		dst = append(dst[:last+12], dst[last+14:]...) // without the "\" in front
		le.PutUint32(dst[last+8:], uint32(len(dst)-last-12))
		if len(dst)-start > max {
			return dst[:start], ntstatus.NotifyEnumDir
		}
	}
	return dst, nil
}
