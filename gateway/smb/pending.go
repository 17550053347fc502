package smb

import (
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// pending is a request that waits for something to happen.
type pending struct {
	id uint64
}

// cancel is [MS-SMB2] 3.3.5.16.
func (m *message) cancel() error { return errSilent }

// cancelWaits ends what waits for an open that is being closed.
func (o *open) cancelWaits() {}

func (m *message) changeNotify() error {
	var r wire.ChangeNotifyRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	return ntstatus.NotSupported
}

func (m *message) oplockBreak() error {
	var a wire.OplockAck
	if err := a.Parse(m.m); err != nil {
		return err
	}
	return ntstatus.InvalidParameter
}
