package smb

import (
	"causeway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/security"
	"causeway/gateway/smb/wire"
)

// querySecurity is [MS-SMB2] 3.3.5.20.3: what fits, or BufferTooSmall with the size that is needed.
func (m *message) querySecurity(r *wire.QueryInfoRequest) error {
	const owner = security.PartOwner | security.PartGroup | security.PartDACL
	if r.Additional&owner != 0 && m.open.access&wire.AccessReadControl == 0 || r.Additional&security.PartSACL != 0 {
		return ntstatus.AccessDenied
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, m.open.handle)
	if err != nil {
		return err
	}
	b := security.DescriptorOf(&attr, nil).Only(r.Additional).AppendBinary(nil)
	if len(b) > int(r.Room) {
		return &dataError{ntstatus.BufferTooSmall, le.AppendUint32(nil, uint32(len(b)))}
	}
	m.b = append(m.b, b...)
	return nil
}

// setSecurity is [MS-SMB2] 3.3.5.21.3.
func (m *message) setSecurity(r *wire.SetInfoRequest) error {
	for _, need := range [...]struct{ part, right uint32 }{
		{security.PartOwner, wire.AccessWriteOwner}, {security.PartGroup, wire.AccessWriteOwner}, {security.PartDACL, wire.AccessWriteDAC},
		{security.PartSACL, wire.AccessSystemSecurity},
	} {
		if r.Additional&need.part != 0 && m.open.access&need.right == 0 {
			return ntstatus.AccessDenied
		}
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, m.open.handle)
	if err != nil {
		return err
	}
	_, err = m.applyDescriptor(m.open, r.Data, r.Additional, &attr)
	return err
}

// applyDescriptor sets parts of a descriptor, as far as it has them.
func (m *message) applyDescriptor(o *open, data []byte, parts uint32, attr *causeway.Attr) (causeway.Attr, error) {
	d, err := security.DecodeDescriptor(data)
	if err != nil {
		return *attr, err
	}
	if d.Owner.IsZero() {
		parts &^= security.PartOwner
	}
	if d.Group.IsZero() {
		parts &^= security.PartGroup
	}
	if d.Control&security.ControlDACLPresent == 0 {
		parts &^= security.PartDACL
	}
	set, err := security.Change(d, parts, attr)
	if err != nil || set.Mask == 0 {
		return *attr, err
	}
	change, err := m.conn.srv.cfg.Access.SetAttr(m.conn.ctx, &m.caller, o.handle, &set, nil)
	if err == nil && change.After.Valid() {
		return change.After, nil
	}
	return *attr, err
}
