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
	list, err := contexts.Parse(r.Contexts)
	if err != nil {
		return err
	}
	asked, err := m.caching(&r, list)
	if err != nil {
		return err
	}
	if asked.reconnect {
		return m.reconnect(&r, list, &asked)
	}
	if err := checkCreate(&r); err != nil {
		return err
	}
	parts, err := m.splitPath(r.Name)
	if err != nil {
		return err
	}
	if err := refuseContexts(list); err != nil {
		return err
	}
	if asked.durable && asked.guid != ([16]byte{}) {
		if done, err := m.repeatable(&r, list, &asked); done || err != nil {
			return err
		}
		defer m.claim.release()
	}
	if fscc.Attributes(r.Attributes)&fscc.AttrReadOnly != 0 && r.Options&wire.OptDeleteOnClose != 0 && r.Options&wire.OptDirectory == 0 {
		return ntstatus.CannotDelete
	}
	for attempt := 0; ; attempt++ {
		p, err := m.walked(parts)
		if err != nil {
			return err
		}
		o, opened, err := m.openAt(&r, p, list, &asked)
		if code := causeway.CodeOf(err); err != nil && attempt < 3 && (code == causeway.ErrNoEnt && p.exists) {
			continue // somebody was faster
		}
		if err != nil {
			return err
		}
		if err := m.mostAccess(list, o, p, opened.Action); err != nil {
			return err
		}
		return m.appendCreate(list, o, &opened, &asked)
	}
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
	case r.Access == 0, !security.Mask(r.Access).Valid():
		return ntstatus.AccessDenied
	case r.Access&wire.AccessSystemSecurity != 0: // to audit accesses ([MS-FSA] 2.1.5.1): there is no such thing here
		return ntstatus.PrivilegeNotHeld
	case r.Disposition > wire.OverwriteIf,
		r.Share&^7 != 0,
		fscc.Attributes(r.Attributes)&^fscc.Known != 0,
		r.Options&^optionsKnown != 0,
		r.Options&wire.OptDirectory != 0 && r.Options&wire.OptNonDirectory != 0:
		return ntstatus.InvalidParameter
	case r.Options&(wire.OptOpenByFileID|wire.OptReserveOpFilter|wire.OptTreeConnection) != 0:
		return ntstatus.NotSupported
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

// openAt opens what is at a place, or makes it: one decision of the engines, which know all other opens.
func (m *message) openAt(r *wire.CreateRequest, p *place, list []contexts.Context, asked *caching) (*open, gateway.Opened, error) {
	var none gateway.Opened
	cuts := r.Disposition == wire.Supersede || r.Disposition == wire.Overwrite || r.Disposition == wire.OverwriteIf
	var err error
	if srv := m.conn.srv; srv.files.full(m.caller.Cred.UID, p.entry.Handle, &srv.cfg) {
		err = ntstatus.InsufficientResources // before anything is made, emptied or looked through
	} else if p.exists {
		err = m.refuseExisting(r, p, cuts)
	} else if r.Disposition == wire.OpenOnly || r.Disposition == wire.Overwrite {
		err = ntstatus.ObjectNameNotFound
	}
	if err == nil && (cuts || !p.exists || asked.app != ([16]byte{})) {
		if err = m.mayRename(); err != nil {
			m.place = p
		}
	}
	if err != nil {
		return nil, none, err
	}
	spec := m.openSpec(r, p)
	asked.apply(&spec, m, p)
	at := p.parent
	if p.root {
		at = p.entry.Handle
	}
	files := &m.conn.srv.files
	if p.exists && asked.app != ([16]byte{}) && m.mayWait() == nil {
		m.takeOver(asked.app, p.entry.Handle)
	}
	files.opening.Add(1)
	defer files.settled()
	ctx, wait := m.patiently()
	opened, err := m.conn.srv.cfg.Access.Open(ctx, &m.caller, at, &spec)
	if err = wait.end(err); err != nil {
		return nil, opened, err
	}
	o := newOpen(&opened)
	o.parent, o.path, o.share, o.options, o.mode = p.parent, p.path, r.Share, r.Options, r.Options&fscc.ModeMask
	o.guid, o.creation, o.appInstance = asked.guid, creation{opened.Action, opened.Keep > 0}, asked.app
	if asked.lease != nil {
		o.leaseVersion = files.leaseVersion(o.lease, asked.lease.Version)
	}
	if err := m.register(o); err != nil {
		return nil, opened, err
	}
	if folding := m.conn.srv.cfg.folding(m.tree.volume); opened.Action == gateway.DidCreate && folding != names.Exact {
		m.conn.srv.spellings.Made(p.parent, &opened.Dir, folding.Key(spec.Name), spec.Name)
	}
	if opened.Action != gateway.DidOpen {
		if err := m.furnish(o, r, list, &opened); err != nil {
			return nil, opened, err
		}
	}
	return o, opened, nil
}

// furnish gives an object that was made, or made anew, the attributes that its maker has asked for.
func (m *message) furnish(o *open, r *wire.CreateRequest, list []contexts.Context, opened *gateway.Opened) (err error) {
	if err := m.recordNew(o, r.Attributes, opened); err != nil {
		m.conn.srv.cfg.Logger.Debug("attributes not kept", "op", "create", "volume", m.tree.name, "err", err)
	}
	if c := contexts.Find(list, contexts.EABuffer); c != nil {
		if err := m.setEAs(o, c.Data); err != nil {
			m.undo(o, opened.Action == gateway.DidCreate)
			return err
		}
	}
	if opened.Action == gateway.DidCreate {
		opened.Attr, err = m.secureNew(o, contexts.Find(list, contexts.SecurityDescr), &opened.Attr)
	}
	return err
}

// refuseExisting refuses what an existing object does not allow.
func (m *message) refuseExisting(r *wire.CreateRequest, p *place, cuts bool) error {
	attr := &p.entry.Attr
	dir := attr.Type == causeway.TypeDirectory
	switch {
	case attr.Type == causeway.TypeSymlink && r.Options&wire.OptReparsePoint == 0:
		return m.stopped(p.entry.Handle, nil)
	case r.Disposition == wire.CreateOnly && p.root:
		return ntstatus.ObjectNameCollision
	case dir && cuts && r.Options&wire.OptNonDirectory == 0:
		return ntstatus.ObjectNameCollision
	}
	if cuts && !dir {
		// Who empties what is hidden or of the system has to know that it is ([MS-FSA] 2.1.5.1.2.1).
		d, err := m.dosOf(p.entry.Handle)
		if err == nil && d.Attributes&(fscc.AttrHidden|fscc.AttrSystem)&^fscc.Attributes(r.Attributes) != 0 {
			err = ntstatus.AccessDenied
		}
		if err != nil {
			return err
		}
	}
	if r.Options&wire.OptDeleteOnClose == 0 || r.Disposition == wire.CreateOnly {
		return nil
	}
	readOnly, err := m.readOnly(p.entry.Handle, attr)
	if err == nil && (readOnly || p.root) {
		err = m.cannotDelete(r, p, cuts)
	}
	return err
}

// cannotDelete: what is read-only is not removed, but who may not open it does not learn that.
func (m *message) cannotDelete(r *wire.CreateRequest, p *place, cuts bool) error {
	asked := security.Mask(r.Access)
	if cuts {
		asked |= security.WriteData
	}
	have, err := m.rightsOn(p)
	if err == nil {
		_, err = security.Check(asked, security.Mask(have))
	}
	if err == nil {
		err = ntstatus.CannotDelete
	}
	return err
}

// openSpec is the request in the engines' words.
func (m *message) openSpec(r *wire.CreateRequest, p *place) gateway.OpenSpec {
	spec := gateway.OpenSpec{
		Disposition: gateway.Disposition(r.Disposition),
		OnlyDir:     r.Options&wire.OptDirectory != 0, NoDir: r.Options&wire.OptNonDirectory != 0,
		Access: causeway.AccessMask(specific(r.Access)), Share: causeway.Sharing(r.Share),
		DeleteOnClose: r.Options&wire.OptDeleteOnClose != 0,
		Create:        gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: newFileMode}},
	}
	if p.root {
		spec.Disposition = gateway.OpenExisting
	} else {
		spec.Name = p.name()
	}
	if spec.OnlyDir {
		spec.Create.Type, spec.Create.Set.Mode = causeway.TypeDirectory, newDirectoryMode
	} else if fscc.Attributes(r.Attributes)&fscc.AttrReadOnly != 0 {
		spec.Create.Set.Mode &^= writeBits
	}
	return spec
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
	if m.open.pipe == nil && m.open.dooms() {
		if err := m.mayRename(); err != nil {
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
			object, err := m.objectOf(m.open.handle, &attr, m.open.name())
			if err != nil {
				return err
			}
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
