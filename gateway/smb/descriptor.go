package smb

import (
	"bytes"

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
	attr, err := m.listed(m.open.handle)
	if err != nil {
		return err
	}
	d, err := m.descriptorOf(m.open.handle, &attr)
	if err != nil {
		return err
	}
	b := d.Only(r.Additional).AppendBinary(nil)
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
	attr, err := m.listed(m.open.handle)
	if err != nil {
		return err
	}
	d, err := security.DecodeDescriptor(r.Data)
	if err != nil {
		return err
	}
	d.Control |= security.ControlDACLPresent // none that is set is one that lets everyone do everything
	_, err = m.applyDescriptor(m.open, d, r.Additional, &attr)
	return err
}

// applyDescriptor sets parts of a descriptor, as far as it has them: what POSIX can say of it becomes mode and access list, and all of it is
// kept beside these, to be told and to decide over SMB. Storage without extended attributes keeps the former only; there, entries for
// those whom nobody knows are refused, as they would be forgotten.
func (m *message) applyDescriptor(o *open, d *security.Descriptor, parts uint32, attr *causeway.Attr) (causeway.Attr, error) {
	if d.Owner.IsZero() {
		parts &^= security.PartOwner
	}
	if d.Group.IsZero() {
		parts &^= security.PartGroup
	}
	if d.Control&security.ControlDACLPresent == 0 {
		parts &^= security.PartDACL
	}
	_, strict := security.Change(d, parts, attr)
	old, err := m.descriptorOf(o.handle, attr)
	if err != nil {
		return *attr, err
	}
	return m.keepDescriptor(o, security.Keep(old, d, parts), d, parts, attr, strict)
}

// keepDescriptor sets parts of given on an object and keeps the whole. strict is why POSIX alone could not keep it, if it could not.
func (m *message) keepDescriptor(o *open, whole, given *security.Descriptor, parts uint32, attr *causeway.Attr, strict error) (causeway.Attr, error) {
	set, err := security.Project(given, parts, attr)
	if err != nil {
		return *attr, err
	}
	now := *attr
	if set.Mask != 0 {
		change, err := m.conn.srv.cfg.Access.SetAttr(m.conn.ctx, &m.caller, o.handle, &set, nil)
		if err != nil {
			return now, err
		}
		if now = change.After; !now.Valid() {
			if now, err = m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, o.handle); err != nil {
				return now, err
			}
		}
	}
	b := whole.AppendBinary(nil)
	if o.symlink || given.HasMode() && parts&security.PartDACL != 0 || bytes.Equal(b, security.DescriptorOf(&now, nil).AppendBinary(nil)) {
		_, err = m.conn.srv.cfg.Access.RemoveXattr(m.conn.ctx, &m.caller, o.handle, causeway.DescriptorXattr)
	} else {
		_, err = m.conn.srv.cfg.Access.SetXattr(m.conn.ctx, &m.caller, o.handle, causeway.DescriptorXattr, b, causeway.XattrEither)
	}
	switch causeway.CodeOf(err) {
	case causeway.ErrNotSupp:
		return now, strict
	case causeway.ErrNoEnt:
		err = nil
	}
	return now, err
}

// descriptorOf is the descriptor of an object: the one that is kept with it, or what its owner, mode and access list come to.
func (m *message) descriptorOf(h causeway.Handle, attr *causeway.Attr) (*security.Descriptor, error) {
	d, err := m.keptDescriptor(h)
	if d == nil && err == nil {
		d = security.DescriptorOf(attr, nil)
	}
	return d, err
}

// keptDescriptor is the descriptor that is kept with an object, nil if there is none.
func (m *message) keptDescriptor(h causeway.Handle) (*security.Descriptor, error) {
	b, err := m.conn.srv.cfg.Access.Xattr(m.conn.ctx, &m.caller, h, causeway.DescriptorXattr)
	switch causeway.CodeOf(err) {
	case causeway.OK:
	case causeway.ErrNoEnt, causeway.ErrNotSupp:
		return nil, nil
	default:
		return nil, err
	}
	if d, err := security.DecodeDescriptor(b); err == nil {
		return d, nil
	}
	return nil, nil
}

// handDown gives a new object what its directory hands down.
func (m *message) handDown(o *open, attr *causeway.Attr) (causeway.Attr, error) {
	above, err := m.keptDescriptor(o.parent)
	if above == nil || err != nil {
		return *attr, err
	}
	d := security.Inherit(above, attr.UID, attr.GID, o.dir)
	if d == nil {
		return *attr, nil
	}
	return m.keepDescriptor(o, d, d, security.PartDACL, attr, nil)
}
