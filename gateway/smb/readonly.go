package smb

import (
	"causeway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/security"
)

// A file is read-only to Windows if nobody may write it by its mode, so that NFS clients are held to that too. Where a descriptor is kept
// with the file, it goes on saying who might write it otherwise, and the file's record says whether it is read-only: its list may let
// nobody write, which is another matter.

// listed are attributes of an object with its access list, which most callers need not be told.
func (m *message) listed(h causeway.Handle) (causeway.Attr, error) {
	c := m.caller
	c.Cred = causeway.Cred{UID: causeway.NoID, GID: causeway.NoID}
	return m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &c, h)
}

// shown are attributes as they decide what clients see: a file that no mode lets anybody write has a mode that does, unless it is read-only.
func (m *message) shown(h causeway.Handle, attr *causeway.Attr, d *fscc.DOS) (*causeway.Attr, error) {
	if attr.Type != causeway.TypeRegular || attr.Mode&writeBits != 0 || d.Attributes&fscc.AttrReadOnly != 0 {
		return attr, nil
	}
	kept, err := m.keptDescriptor(h)
	if kept == nil || err != nil {
		return attr, err
	}
	other := *attr
	other.Mode |= writeBits
	return &other, nil
}

// readOnly reports whether a client sees an object as read-only.
func (m *message) readOnly(h causeway.Handle, attr *causeway.Attr) (bool, error) {
	if attr.Type != causeway.TypeRegular || attr.Mode&writeBits != 0 {
		return false, nil
	}
	object, err := m.objectOf(h, attr, "")
	return object.Attributes&fscc.AttrReadOnly != 0, err
}

// setReadOnly makes a file read-only, or takes that away from it. kept: a descriptor says who may use it otherwise, and the record has to
// say whether it is read-only.
func (m *message) setReadOnly(o *open, on bool) (kept bool, err error) {
	attr, err := m.listed(o.handle)
	if err != nil {
		return false, err
	}
	d, err := m.keptDescriptor(o.handle)
	writable := attr.Mode&writeBits != 0
	switch {
	case err != nil:
		return false, err
	case on && (writable || d != nil):
		if d == nil {
			d = security.DescriptorOf(&attr, nil)
		}
		return true, m.protect(o, d, attr.Mode)
	case on, writable:
		return d != nil, nil
	case d != nil:
		_, err = m.keepDescriptor(o, d, d, security.PartDACL, &attr, nil)
		return true, err
	}
	return false, m.setAttr(o, &causeway.SetAttr{Mask: causeway.SetMode, Mode: attr.Mode | writeBits&newFileMode})
}

// protect takes the right to write from everybody, and keeps who had it.
func (m *message) protect(o *open, d *security.Descriptor, mode uint32) error {
	if mode&writeBits != 0 {
		if err := m.setAttr(o, &causeway.SetAttr{Mask: causeway.SetMode, Mode: mode &^ writeBits}); err != nil {
			return err
		}
	}
	_, err := m.conn.srv.cfg.Access.SetXattr(m.conn.ctx, &m.caller, o.handle, causeway.DescriptorXattr, d.AppendBinary(nil), causeway.XattrEither)
	if causeway.CodeOf(err) == causeway.ErrNotSupp {
		return nil
	}
	return err
}
