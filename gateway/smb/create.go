package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/security"
	"causeway/gateway/smb/wire"
)

// Modes of what SMB clients make: they cannot say one.
const (
	newFileMode      = 0o644
	newDirectoryMode = 0o755
	writeBits        = 0o222
)

// create is [MS-SMB2] 3.3.5.9.
func (m *message) create() error {
	var r wire.CreateRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if m.tree.volume == nil {
		return m.createPipe(&r)
	}
	if err := checkCreate(&r); err != nil {
		return err
	}
	parts, err := m.splitPath(r.Name)
	if err != nil {
		return err
	}
	list, err := contexts.Parse(r.Contexts)
	if err != nil {
		return err
	}
	if err := refuseContexts(list); err != nil {
		return err
	}
	var o *open
	var action uint32
	var attr causeway.Attr
	for attempt := 0; ; attempt++ {
		p, err := m.walk(parts)
		if err != nil {
			return err
		}
		if p.exists {
			o, action, attr, err = m.openExisting(&r, &p)
		} else {
			o, action, attr, err = m.createNew(&r, &p, list)
		}
		if code := causeway.CodeOf(err); attempt < 3 && (code == causeway.ErrExist && r.Disposition != wire.CreateOnly || code == causeway.ErrNoEnt && p.exists) {
			continue // somebody was faster
		}
		if err != nil {
			return err
		}
		break
	}
	return m.appendCreate(list, o, action, &attr)
}

// splitPath returns the stored names of a path.
func (m *message) splitPath(name []byte) ([]string, error) {
	if m.h.Flags&wire.FlagDFS == 0 {
		return names.Split(name)
	}
	units, err := names.Parse(name, names.MaxPathBytes)
	if err != nil {
		return nil, err
	}
	return names.SplitUnits(names.TrimDFS(units))
}

// checkCreate refuses what contradicts itself, before anything is looked up ([MS-FSA] 2.1.5.1).
func checkCreate(r *wire.CreateRequest) error {
	switch {
	case r.Impersonation > 3:
		return badImpersonation
	case r.Disposition > wire.OverwriteIf,
		r.Share&^7 != 0,
		fscc.Attributes(r.Attributes)&^fscc.Known != 0,
		r.Options&^optionsKnown != 0,
		r.Options&wire.OptDirectory != 0 && r.Options&wire.OptNonDirectory != 0:
		return ntstatus.InvalidParameter
	case r.Options&(wire.OptOpenByFileID|wire.OptReserveOpFilter) != 0:
		return ntstatus.NotSupported
	case r.Access == 0, !security.Mask(r.Access).Valid():
		return ntstatus.AccessDenied
	case r.Options&wire.OptDirectory != 0 && (r.Disposition == wire.Supersede || r.Disposition == wire.Overwrite || r.Disposition == wire.OverwriteIf):
		return ntstatus.InvalidParameter
	case r.Options&wire.OptDeleteOnClose != 0 && specific(r.Access)&(wire.AccessDelete|wire.AccessMaximum) == 0:
		return ntstatus.InvalidParameter
	}
	return nil
}

const (
	badImpersonation ntstatus.Status = 0xc00000a5
	optionsKnown     uint32          = 0x00ffffff
)

// openExisting opens what the path leads to, and cuts it where the disposition says so.
func (m *message) openExisting(r *wire.CreateRequest, p *place) (*open, uint32, causeway.Attr, error) {
	attr := p.entry.Attr
	fail := func(err error) (*open, uint32, causeway.Attr, error) { return nil, 0, attr, err }
	dir := attr.Type == causeway.TypeDirectory
	if attr.Type == causeway.TypeSymlink && r.Options&wire.OptReparsePoint == 0 {
		return fail(m.stopped(p.entry.Handle, nil))
	}
	cuts := r.Disposition == wire.Supersede || r.Disposition == wire.Overwrite || r.Disposition == wire.OverwriteIf
	switch {
	case r.Disposition == wire.CreateOnly:
		if m.conn.srv.files.deletePending(p.entry.Handle) {
			return fail(ntstatus.DeletePending)
		}
		return fail(ntstatus.ObjectNameCollision)
	case dir && r.Options&wire.OptNonDirectory != 0:
		return fail(ntstatus.FileIsADirectory)
	case !dir && r.Options&wire.OptDirectory != 0:
		return fail(ntstatus.NotADirectory)
	case dir && cuts:
		return fail(ntstatus.ObjectNameCollision)
	}
	asked := specific(r.Access)
	if cuts {
		asked |= wire.AccessWriteData // for the check only
	}
	have, err := m.rightsOn(p)
	if err != nil {
		return fail(err)
	}
	granted, err := settle(asked, have)
	if err != nil {
		return fail(err)
	}
	if r.Options&wire.OptDeleteOnClose != 0 && attr.Mode&writeBits == 0 && !dir {
		return fail(ntstatus.CannotDelete)
	}
	if cuts {
		if err := m.mayWait(); err != nil {
			return fail(err)
		}
		if specific(r.Access)&(wire.AccessWriteData|wire.AccessMaximum) == 0 {
			granted &^= wire.AccessWriteData
		}
	}
	o := m.newOpen(r, p, granted)
	o.maximal = have
	if err := m.register(o); err != nil {
		return fail(err)
	}
	if !cuts {
		return o, wire.ActionOpened, attr, nil
	}
	change, err := m.conn.srv.cfg.Access.SetAttr(m.conn.ctx, &m.caller, o.handle, &causeway.SetAttr{Mask: causeway.SetSize}, nil)
	if err != nil {
		o.deleteOnClose = false
		o.end(m.conn.ctx)
		m.open = nil
		return fail(err)
	}
	if change.After.Valid() {
		attr = change.After
	}
	if r.Disposition == wire.Supersede {
		return o, wire.ActionSuperseded, attr, nil
	}
	return o, wire.ActionOverwritten, attr, nil
}

// createNew makes what the path names.
func (m *message) createNew(r *wire.CreateRequest, p *place, list []contexts.Context) (*open, uint32, causeway.Attr, error) {
	fail := func(err error) (*open, uint32, causeway.Attr, error) { return nil, 0, causeway.Attr{}, err }
	if r.Disposition == wire.OpenOnly || r.Disposition == wire.Overwrite {
		return fail(ntstatus.ObjectNameNotFound)
	}
	if err := m.mayWait(); err != nil {
		return fail(err)
	}
	granted, err := settle(specific(r.Access), wire.AccessAll)
	if err != nil {
		return fail(err)
	}
	if fscc.Attributes(r.Attributes)&fscc.AttrReadOnly != 0 && r.Options&wire.OptDeleteOnClose != 0 && r.Options&wire.OptDirectory == 0 {
		return fail(ntstatus.CannotDelete)
	}
	spec := gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: newFileMode}}
	if r.Options&wire.OptDirectory != 0 {
		spec.Type, spec.Set.Mode = causeway.TypeDirectory, newDirectoryMode
	} else if fscc.Attributes(r.Attributes)&fscc.AttrReadOnly != 0 {
		spec.Set.Mode &^= writeBits
	}
	e, _, err := m.conn.srv.cfg.Access.Create(m.conn.ctx, &m.caller, p.parent, p.name(), &spec)
	if err != nil {
		return fail(err)
	}
	p.entry = e
	o := m.newOpen(r, p, granted)
	o.maximal = wire.AccessAll
	if err := m.register(o); err != nil {
		return fail(err)
	}
	attr := e.Attr
	if c := contexts.Find(list, contexts.SecurityDescr); c != nil {
		if attr, err = m.secureNew(o, c.Data, &attr); err != nil {
			return fail(err)
		}
	}
	return o, wire.ActionCreated, attr, nil
}

func (m *message) newOpen(r *wire.CreateRequest, p *place, granted uint32) *open {
	return &open{
		handle: p.entry.Handle, dir: p.entry.Attr.Type == causeway.TypeDirectory, symlink: p.entry.Attr.Type == causeway.TypeSymlink,
		parent: p.parent, path: p.path, access: granted, share: r.Share, options: r.Options,
		deleteOnClose: r.Options&wire.OptDeleteOnClose != 0 && !p.root, mode: r.Options & fscc.ModeMask,
	}
}

// infoOf is what CREATE and CLOSE tell of an object.
func infoOf(o *fscc.Object) wire.FileInfo {
	return wire.FileInfo{
		Created: uint64(fscc.FileTimeOf(o.Creation)), Accessed: uint64(fscc.FileTimeOf(o.Access)),
		Written: uint64(fscc.FileTimeOf(o.Write)), Changed: uint64(fscc.FileTimeOf(o.Change)),
		Allocation: o.Allocation, EndOfFile: o.EndOfFile, Attributes: uint32(o.Attributes),
	}
}

// close is [MS-SMB2] 3.3.5.10.
func (m *message) close() error {
	var r wire.CloseRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if err := m.find(r.File); err != nil {
		return err
	}
	if m.open.deleteOnClose || m.conn.srv.files.deletePending(m.open.handle) {
		if err := m.mayWait(); err != nil {
			return err
		}
	}
	var info *wire.FileInfo
	if r.Flags&wire.CloseAttributes != 0 && m.open.pipe == nil {
		attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, m.open.handle)
		if causeway.CodeOf(err) == causeway.ErrWouldBlock {
			return err
		}
		if err == nil {
			object := fscc.ObjectOf(&attr, &fscc.DOS{}, m.open.name())
			i := infoOf(&object)
			info = &i
		}
	}
	if err := m.open.end(m.conn.ctx); err != nil {
		return err
	}
	m.b = wire.AppendClose(m.b, info)
	return nil
}
