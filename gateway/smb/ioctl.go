package smb

import (
	"causeway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// ioctl is [MS-SMB2] 3.3.5.15.
func (m *message) ioctl() error {
	var r wire.IOCtlRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if r.Room > maxTransfer || len(r.Input) > maxTransfer || !m.affords(max(r.Room, uint32(len(r.Input)))) {
		return ntstatus.InvalidParameter
	}
	if r.Flags&wire.CtlIsFSCtl == 0 {
		return ntstatus.NotSupported
	}
	var out []byte
	var err error
	switch r.Control {
	case wire.CtlValidateNegotiate:
		out, err = m.validateNegotiate(&r)
	case wire.CtlDFSReferrals:
		out, err = m.referrals(&r)
	case wire.CtlPipeTransceive:
		out, err = m.transceive(&r)
	default:
		if err = m.find(r.File); err == nil {
			out, err = m.control(&r)
		}
	}
	if err != nil && !carriesReply(statusOf(err)) {
		return err
	}
	m.b = wire.AppendIOCtl(m.b, r.Control, r.File, out)
	return err
}

// control answers the controls of an open file.
func (m *message) control(r *wire.IOCtlRequest) ([]byte, error) {
	if m.open.pipe != nil {
		return nil, ntstatus.NotSupported
	}
	return nil, ntstatus.InvalidDeviceRequest
}

// validateNegotiate proves to clients of 3.0 and 3.0.2 that nobody has changed the negotiation. Where it does not agree, the
// connection ends ([MS-SMB2] 3.3.5.15.12).
func (m *message) validateNegotiate(r *wire.IOCtlRequest) ([]byte, error) {
	n := &m.conn.negotiated
	var v wire.ValidateRequest
	if n.dialect == wire.Dialect311 || v.Parse(r.Input) != nil {
		return nil, errProtocol
	}
	if r.Room < 24 {
		return nil, errProtocol
	}
	best := wire.Dialect(0)
	for _, d := range dialects {
		for _, offered := range v.Dialects {
			if d == offered && best == 0 {
				best = d
			}
		}
	}
	if best != n.dialect || v.GUID != n.clientGUID || v.Capabilities != n.capabilities || v.SecurityMode != n.mode {
		return nil, errProtocol
	}
	return wire.AppendValidateReply(nil, n.offered, m.conn.srv.cfg.GUID, m.conn.srv.mode(), n.dialect), nil
}

// referrals passes on to DFS.
func (m *message) referrals(r *wire.IOCtlRequest) ([]byte, error) {
	d := m.conn.srv.cfg.Referrals
	if d == nil {
		return nil, fsDriverRequired
	}
	if r.File != wire.AnyFile || len(r.Input) < 4 {
		return nil, ntstatus.InvalidParameter
	}
	path, err := wire.UTF16(trimNUL(r.Input[2:]))
	if err != nil {
		return nil, err
	}
	if err := m.mayWait(); err != nil {
		return nil, err
	}
	out, err := d.Referral(path, le.Uint16(r.Input), m.conn.remote)
	if causeway.CodeOf(err) == causeway.ErrNoEnt {
		err = ntstatus.NotFound
	}
	if err == nil && len(out) > int(r.Room) {
		err = ntstatus.BufferOverflow
		out = nil
	}
	return out, err
}

// trimNUL takes a terminator off a UTF-16 string.
func trimNUL(b []byte) []byte {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return b[:i]
		}
	}
	return b
}

const fsDriverRequired ntstatus.Status = 0xc000019c
