package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
)

// dosOf reads what Windows keeps with an object. One whose record cannot be read, or that can have none, counts as one without; only
// that it would have to wait for it is an error.
func (m *message) dosOf(h causeway.Handle) (d fscc.DOS, err error) {
	b, err := m.conn.srv.cfg.Access.Xattr(m.conn.ctx, &m.caller, h, fscc.DOSXattr)
	switch {
	case causeway.CodeOf(err) == causeway.ErrWouldBlock:
		return d, err
	case err != nil:
		return d, nil
	}
	d, _ = fscc.DecodeDOS(b)
	return d, nil
}

// objectOf is what clients are told of an object.
func (m *message) objectOf(h causeway.Handle, attr *causeway.Attr, name string) (fscc.Object, error) {
	d, err := m.dosOf(h)
	if err != nil {
		return fscc.Object{}, err
	}
	if attr, err = m.shown(h, attr, &d); err != nil {
		return fscc.Object{}, err
	}
	return fscc.ObjectOf(attr, &d, name), nil
}

// setDOS writes the record. What storage without extended attributes cannot keep is lost, as on a file system of Windows without them.
func (m *message) setDOS(h causeway.Handle, d *fscc.DOS) error {
	_, err := m.conn.srv.cfg.Access.SetXattr(m.conn.ctx, &m.caller, h, fscc.DOSXattr, d.Encode(), causeway.XattrEither)
	if causeway.CodeOf(err) == causeway.ErrNotSupp {
		return nil
	}
	return err
}

// recordNew records the attributes of a new or emptied file, as far as they are others than those of a file without a record.
func (m *message) recordNew(o *open, attributes uint32, opened *gateway.Opened) (err error) {
	protected := false
	if opened.Action != gateway.DidCreate && fscc.Attributes(attributes)&fscc.AttrReadOnly != 0 {
		if protected, err = m.setReadOnly(o, true); err != nil {
			return err
		}
		opened.Attr.Mode &^= writeBits
	}
	d := fscc.DOS{Recorded: true, Attributes: fscc.Attributes(attributes) & fscc.Settable}
	if o.dir {
		d.Attributes &^= fscc.AttrTemporary
	} else {
		d.Attributes = d.Attributes&^fscc.AttrReadOnly | fscc.AttrArchive // the mode says whether it is read-only
	}
	if protected {
		d.Attributes |= fscc.AttrReadOnly
	}
	name := o.name()
	hidden := len(name) > 1 && name[0] == '.'
	if !hidden && (d.Attributes == fscc.AttrArchive && !o.dir || d.Attributes == 0 && o.dir) {
		return nil
	}
	return m.setDOS(o.handle, &d)
}
