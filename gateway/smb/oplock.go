package smb

import (
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// oplockBreak acknowledges a break ([MS-SMB2] 3.3.5.22). None was sent: no oplock or lease is granted yet.
func (m *message) oplockBreak() error {
	var a wire.OplockAck
	if err := a.Parse(m.m); err != nil {
		return err
	}
	if a.IsLease {
		return ntstatus.ObjectNameNotFound
	}
	return ntstatus.InvalidParameter
}
