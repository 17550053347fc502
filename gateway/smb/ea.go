package smb

import (
	"slices"
	"strings"

	"causeway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// maxEAs bounds the attributes of one object that are shown, in bytes: what a client can be told at once.
const maxEAs = 64 << 10

// eas are an object's extended attributes: those that Linux calls user.NAME are called NAME, as cifs.ko and Samba have it.
func (m *message) eas(h causeway.Handle) ([]fscc.EA, error) {
	access := m.conn.srv.cfg.Access
	xattrs, err := access.ListXattrs(m.conn.ctx, &m.caller, h)
	if causeway.CodeOf(err) == causeway.ErrNotSupp {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(xattrs)
	var list []fscc.EA
	total := 0
	for _, name := range xattrs {
		value, err := access.Xattr(m.conn.ctx, &m.caller, h, name)
		if causeway.CodeOf(err) == causeway.ErrNoEnt { // it has just gone
			continue
		}
		if err != nil {
			return nil, err
		}
		name = strings.TrimPrefix(name, causeway.XattrUser)
		if total += len(name) + len(value); total > maxEAs || len(value) > 65535 {
			break
		}
		list = append(list, fscc.EA{Name: []byte(name), Value: value})
	}
	return list, nil
}

// queryEAs answers FileFullEaInformation.
func (m *message) queryEAs(r *wire.QueryInfoRequest) error {
	if err := m.open.needs(wire.AccessReadEA); err != nil {
		return err
	}
	if err := m.mayWait(); err != nil {
		return err
	}
	list, err := m.eas(m.open.handle)
	if err == nil {
		m.b, err = fscc.AppendEAs(m.b, list, int(r.Room))
	}
	return err
}

// setEAs sets attributes; one without a value is removed ([MS-FSA] 2.1.5.15.5).
func (m *message) setEAs(o *open, data []byte) error {
	list, err := fscc.DecodeEAs(data)
	if err != nil {
		return err
	}
	access := m.conn.srv.cfg.Access
	for i := range list {
		name, err := m.eaName(o.handle, string(list[i].Name))
		if err != nil {
			return err
		}
		if len(list[i].Value) > 0 {
			_, err = access.SetXattr(m.conn.ctx, &m.caller, o.handle, name, list[i].Value, causeway.XattrEither)
		} else if _, err = access.RemoveXattr(m.conn.ctx, &m.caller, o.handle, name); causeway.CodeOf(err) == causeway.ErrNoEnt {
			err = nil
		}
		switch causeway.CodeOf(err) {
		case causeway.OK:
		case causeway.ErrNotSupp:
			return ntstatus.EAsNotSupported
		case causeway.ErrFBig, causeway.ErrNoSpc:
			return ntstatus.EATooLarge
		default:
			return err
		}
	}
	return nil
}

// eaName is the name under which an attribute is kept: in the case in which it is there already.
func (m *message) eaName(h causeway.Handle, name string) (string, error) {
	kept := causeway.XattrUser + name
	if len(kept) > causeway.MaxXattrName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || strings.ContainsRune(`"*+,/;<=>?[\]|`, r) }) ||
		strings.HasPrefix(kept, causeway.OwnXattr) {
		return "", ntstatus.InvalidEAName
	}
	names, err := m.conn.srv.cfg.Access.ListXattrs(m.conn.ctx, &m.caller, h)
	if err != nil || slices.Contains(names, kept) {
		return kept, nil
	}
	if i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, kept) }); i >= 0 {
		kept = names[i]
	}
	return kept, nil
}
