package smb

import (
	"causeway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// queryInfo is [MS-SMB2] 3.3.5.20.
func (m *message) queryInfo() error {
	var r wire.QueryInfoRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if r.Room > maxTransfer || !m.affords(max(r.Room, uint32(len(r.Input)))) {
		return ntstatus.InvalidParameter
	}
	if err := m.find(r.File); err != nil {
		return err
	}
	if m.open.pipe != nil {
		return ntstatus.NotSupported
	}
	m.reserve(wire.OutputSize + min(int(r.Room), 4<<10))
	at := len(m.b)
	m.b = m.b[:at+wire.OutputSize]
	var err error
	switch r.Type {
	case wire.InfoFile:
		err = m.queryFile(&r)
	case wire.InfoFileSystem:
		err = m.queryFileSystem(&r)
	case wire.InfoSecurity:
		err = m.querySecurity(&r)
	case wire.InfoQuota:
		err = ntstatus.NotSupported
	default:
		err = ntstatus.InvalidParameter
	}
	if err != nil && !carriesReply(statusOf(err)) {
		return err
	}
	wire.PutOutput(m.b[at:], uint32(len(m.b)-at-wire.OutputSize))
	return err
}

// needsAttributes are the classes that only an open with READ_ATTRIBUTES may ask for.
func needsAttributes(c fscc.FileClass) bool {
	switch c {
	case fscc.FileBasicInformation, fscc.FileAllInformation, fscc.FileNetworkOpenInformation, fscc.FileAttributeTagInformation:
		return true
	}
	return false
}

func (m *message) queryFile(r *wire.QueryInfoRequest) error {
	o := m.open
	class := fscc.FileClass(r.Class)
	if needsAttributes(class) {
		if err := o.needs(wire.AccessReadAttributes); err != nil {
			return err
		}
	}
	if class == fscc.FileFullEaInformation {
		return m.queryEAs(r)
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, o.handle)
	if err != nil {
		return err
	}
	object, err := m.objectOf(o.handle, &attr, o.name())
	if err != nil {
		return err
	}
	if class == fscc.FileEaInformation || class == fscc.FileAllInformation {
		list, err := m.eas(o.handle)
		if causeway.CodeOf(err) == causeway.ErrWouldBlock {
			return err
		}
		object.EASize = fscc.EASize(list) // who may not read them learns of none
	}
	f := fscc.File{
		Object: object, DeletePending: o.deleting.Load(),
		Granted: o.access, Volume: uint64(o.handle.Volume), Path: o.wirePath(),
	}
	if name := o.name(); name != "" && class == fscc.FileAlternateNameInformation {
		f.Short = names.AppendWire(nil, names.Short(name))
	}
	copy(f.ID128[:], le.AppendUint64(nil, attr.FileID))
	o.mu.Lock()
	f.Position, f.Mode = o.position.Load(), o.mode
	o.mu.Unlock()
	m.b, err = fscc.AppendFile(m.b, class, &f, int(r.Room))
	return err
}

func (m *message) queryFileSystem(r *wire.QueryInfoRequest) error {
	stat, attr, err := m.conn.srv.cfg.Access.StatFS(m.conn.ctx, &m.caller, m.open.handle)
	if err != nil {
		return err
	}
	v := m.tree.volume
	stat.ReadOnly = stat.ReadOnly || m.caller.ReadOnly
	f := fscc.FileSystem{
		Label: v.Name, Type: "NTFS", Volume: v.ID, Stat: stat,
		Created:    attr.Btime,
		Attributes: fscc.FSCasePreserved | fscc.FSUnicode | fscc.FSSparseFiles | fscc.FSHardLinks | fscc.FSReparsePoints,
	}
	if m.conn.srv.cfg.folding(v) != names.Insensitive {
		f.Attributes |= fscc.FSCaseSensitive
	}
	// Windows shows and copies access lists only where they are said to be kept. They are if the storage has attributes to keep them in.
	switch _, err := m.conn.srv.cfg.Access.Xattr(m.conn.ctx, &m.caller, m.open.handle, causeway.DescriptorXattr); causeway.CodeOf(err) {
	case causeway.ErrNotSupp:
	case causeway.ErrWouldBlock:
		return err
	default:
		f.Attributes |= fscc.FSPersistentACLs | fscc.FSExtendedAttrs
	}
	m.b, err = fscc.AppendFS(m.b, fscc.FSClass(r.Class), &f, int(r.Room))
	return err
}
