package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// reparsePoint tells where a symbolic link leads.
func (m *message) reparsePoint(r *wire.IOCtlRequest) ([]byte, error) {
	if !m.open.symlink {
		return nil, ntstatus.NotAReparsePoint
	}
	target, _, err := m.conn.srv.cfg.Access.ReadLink(m.conn.ctx, &m.caller, m.open.handle)
	if err != nil {
		return nil, err
	}
	return fscc.AppendSymlink(nil, target, int(r.Room))
}

// setReparsePoint makes a symbolic link, a FIFO or a socket of an empty file or directory ([MS-FSA] 2.1.5.10.37): that is how clients make
// one. Objects keep their type in POSIX, so another one takes the name; the open stays with the one that had it, until it is closed.
func (m *message) setReparsePoint(r *wire.IOCtlRequest) error {
	o := m.open
	if err := o.needs(wire.AccessWriteData | wire.AccessWriteAttributes); err != nil {
		return err
	}
	p, err := fscc.DecodeReparse(r.Input)
	if err != nil {
		return err
	}
	if err := m.mayWait(); err != nil {
		return err
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, o.handle)
	switch {
	case err != nil:
		return err
	case p.Type == causeway.TypeBlock || p.Type == causeway.TypeChar:
		return ntstatus.AccessDenied
	case attr.Type != causeway.TypeRegular && attr.Type != causeway.TypeDirectory:
		return ntstatus.IOReparseTagMismatch // it is one already, and stays what it is
	case attr.Type == causeway.TypeRegular && (attr.Size != 0 || attr.Nlink > 1):
		return ntstatus.InvalidParameter
	}
	return m.exchange(o, &gateway.CreateSpec{
		Type: p.Type, How: gateway.Guarded, Target: p.Target, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: newFileMode},
	})
}

// deleteReparsePoint makes an empty file of a symbolic link ([MS-FSA] 2.1.5.10.3).
func (m *message) deleteReparsePoint(r *wire.IOCtlRequest) error {
	o := m.open
	if err := o.needs(wire.AccessWriteData | wire.AccessWriteAttributes); err != nil {
		return err
	}
	switch {
	case !o.symlink:
		return ntstatus.NotAReparsePoint
	case len(r.Input) < 8 || le.Uint16(r.Input[4:]) != 0:
		return ntstatus.IOReparseDataInvalid
	case le.Uint32(r.Input) != fscc.TagSymlink:
		return ntstatus.IOReparseTagMismatch
	}
	if err := m.mayWait(); err != nil {
		return err
	}
	return m.exchange(o, &gateway.CreateSpec{
		Type: causeway.TypeRegular, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: newFileMode},
	})
}

// exchange puts a new object where an open one was.
func (m *message) exchange(o *open, spec *gateway.CreateSpec) error {
	if err := m.named(); err != nil {
		return err
	}
	access := m.conn.srv.cfg.Access
	dir, name := o.place()
	if name == "" {
		return ntstatus.AccessDenied
	}
	if found, _, err := access.Lookup(m.conn.ctx, &m.caller, dir, name); err != nil || found.Handle != o.handle {
		return ntstatus.AccessDenied // another one has its name now
	}
	if _, err := access.Remove(m.conn.ctx, &m.caller, dir, name, gateway.RemoveAny); err != nil {
		return err
	}
	_, _, err := access.Create(m.conn.ctx, &m.caller, dir, name, spec)
	return err
}
