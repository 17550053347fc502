package smb

import (
	"time"

	"causeway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// setInfo is [MS-SMB2] 3.3.5.21.
func (m *message) setInfo() error {
	var r wire.SetInfoRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if len(r.Data) > maxTransfer || !m.affords(uint32(len(r.Data))) {
		return ntstatus.InvalidParameter
	}
	if err := m.find(r.File); err != nil {
		return err
	}
	if m.open.pipe != nil {
		return ntstatus.NotSupported
	}
	if m.reader {
		return errLarge // what comes behind a rename is answered when it has broken leases, if that is soon
	}
	_, wait := m.patiently()
	var err error
	switch r.Type {
	case wire.InfoFile:
		err = m.setFile(fscc.FileClass(r.Class), r.Data)
	case wire.InfoSecurity:
		err = m.setSecurity(&r)
	case wire.InfoFileSystem, wire.InfoQuota:
		err = ntstatus.NotSupported
	default:
		err = ntstatus.InvalidParameter
	}
	if err = wait.end(err); err != nil {
		return err
	}
	m.b = wire.AppendSetInfo(m.b)
	return nil
}

func (m *message) setFile(class fscc.FileClass, data []byte) error {
	switch class {
	case fscc.FileBasicInformation:
		return m.setBasic(data)
	case fscc.FileRenameInformation, fscc.FileRenameInformationEx:
		if err := m.named(); err != nil {
			return err
		}
		return m.rename(data, class == fscc.FileRenameInformationEx)
	case fscc.FileLinkInformation:
		if err := m.named(); err != nil {
			return err
		}
		return m.link(data)
	case fscc.FileDispositionInformation, fscc.FileDispositionInformationEx:
		return m.setDisposition(data, class == fscc.FileDispositionInformationEx)
	case fscc.FileEndOfFileInformation:
		return m.setSize(data, true)
	case fscc.FileAllocationInformation:
		return m.setSize(data, false)
	case fscc.FilePositionInformation:
		return m.setPosition(data)
	case fscc.FileModeInformation:
		return m.setMode(data)
	case fscc.FileFullEaInformation:
		if err := m.open.needs(wire.AccessWriteEA); err != nil {
			return err
		}
		return m.setEAs(m.open, data)
	case fscc.FileValidDataLengthInformation, fscc.FileShortNameInformation:
		return ntstatus.NotSupported
	}
	return ntstatus.InvalidInfoClass
}

func (m *message) setAttr(o *open, set *causeway.SetAttr) error {
	_, err := m.conn.srv.cfg.Access.SetAttr(m.ctx(), &m.caller, o.handle, set, nil)
	return err
}

// setBasic sets times, and the one attribute that the mode can keep.
func (m *message) setBasic(data []byte) error {
	o := m.open
	if err := o.needs(wire.AccessWriteAttributes); err != nil {
		return err
	}
	b, err := fscc.DecodeBasic(data)
	if err != nil {
		return err
	}
	if _, err := (fscc.DOS{}).Merge(b.Attributes, o.dir); err != nil {
		return err
	}
	var set causeway.SetAttr
	if !b.Access.Special() {
		set.Mask |= causeway.SetAtime
		set.Atime = b.Access.Time()
	}
	if !b.Write.Special() {
		set.Mask |= causeway.SetMtime
		set.Mtime = b.Write.Time()
	}
	if set.Mask != 0 {
		if err := m.setAttr(o, &set); err != nil {
			return err
		}
	}
	kept := false
	if b.Attributes != 0 && !o.dir && !o.symlink {
		if kept, err = m.setReadOnly(o, b.Attributes&fscc.AttrReadOnly != 0); err != nil {
			return err
		}
	}
	return m.setRecord(o, &b, kept)
}

// setRecord keeps attributes and the time of creation. With a kept descriptor that a file is read-only is among them.
func (m *message) setRecord(o *open, b *fscc.Basic, kept bool) error {
	if b.Attributes == 0 && b.Creation.Special() && b.Change.Special() || o.symlink {
		return nil
	}
	d, err := m.dosOf(o.handle)
	if err != nil {
		return err
	}
	if d, err = d.Merge(b.Attributes, o.dir); err != nil {
		return err
	}
	if !o.dir && !kept {
		d.Attributes &^= fscc.AttrReadOnly // the mode says so
	}
	if !b.Creation.Special() || !b.Change.Special() {
		if !d.Recorded { // as it was shown until now
			attr := causeway.Attr{Type: causeway.TypeRegular, Mode: newFileMode}
			if o.dir {
				attr.Type = causeway.TypeDirectory
			}
			d.Recorded, d.Attributes = true, fscc.AttributesOf(&attr, &fscc.DOS{}, o.name())&fscc.Settable
		}
	}
	if !b.Creation.Special() {
		d.Creation = b.Creation
	}
	if !b.Change.Special() {
		// What keeps the time changes the object too: how far that moved its own time is seen first.
		if err := m.setDOS(o.handle, &d); err != nil {
			return err
		}
		attr, err := m.conn.srv.cfg.Access.GetAttr(m.ctx(), &m.caller, o.handle)
		if err != nil {
			return err
		}
		d.Change, d.Until = b.Change, fscc.FileTimeOf(attr.Ctime)+fscc.FileTime(changeSlack/100)
	}
	return m.setDOS(o.handle, &d)
}

// changeSlack is how long after a client has set a time of change another change may go unseen in it.
const changeSlack = 20 * time.Millisecond

// setSize sets the end of the file. An allocation only ever cuts: what it reserves is the storage's affair.
func (m *message) setSize(data []byte, end bool) error {
	o := m.open
	if err := o.needs(wire.AccessWriteData); err != nil {
		return err
	}
	size, err := fscc.DecodeSize(data)
	if err != nil {
		return err
	}
	if o.dir {
		return ntstatus.InvalidParameter
	}
	if !end {
		attr, err := m.conn.srv.cfg.Access.GetAttr(m.ctx(), &m.caller, o.handle)
		if err != nil {
			return err
		}
		if size >= attr.Size { // others must not cache what this may become
			return m.conn.srv.cfg.Access.Admit(m.ctx(), &m.caller, o.handle, causeway.Span{Offset: size}, true)
		}
	}
	return m.setAttr(o, &causeway.SetAttr{Mask: causeway.SetSize, Size: size})
}

func (m *message) setPosition(data []byte) error {
	p, err := fscc.DecodeSize(data)
	if err != nil {
		return err
	}
	m.open.position.Store(p)
	return nil
}

func (m *message) setMode(data []byte) error {
	mode, err := fscc.DecodeMode(data)
	if err != nil {
		return err
	}
	m.open.mu.Lock()
	m.open.mode = mode
	m.open.mu.Unlock()
	return nil
}

// setDisposition marks the file to be removed when its last open is closed ([MS-FSA] 2.1.5.15.3).
func (m *message) setDisposition(data []byte, ex bool) error {
	o := m.open
	if err := o.needs(wire.AccessDelete); err != nil {
		return err
	}
	d, err := fscc.DecodeDisposition(data, ex)
	if err != nil {
		return err
	}
	if !d.Delete {
		return m.deleteLater(o, false)
	}
	if _, name := o.place(); name == "" {
		return ntstatus.CannotDelete
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.ctx(), &m.caller, o.handle)
	if err != nil {
		return err
	}
	if readOnly, err := m.readOnly(o.handle, &attr); err != nil || readOnly && !d.IgnoreReadOnly {
		if err == nil {
			err = ntstatus.CannotDelete
		}
		return err
	}
	return m.deleteLater(o, true)
}

func (m *message) deleteLater(o *open, on bool) error {
	err := m.conn.srv.cfg.Access.SetDelete(m.ctx(), &m.caller, o.handle, o.openID(), on)
	if err == nil {
		m.conn.srv.files.setDelete(o, on)
	}
	return err
}

// target finds the place of a new name. What stands there may be replaced only if the client says so and nobody has it open.
func (m *message) target(r *fscc.Rename) (place, error) {
	path := r.Path
	if len(path) >= 2 && path[0] == '\\' && path[1] == 0 {
		path = path[2:] // some clients begin at the root
	}
	parts, err := names.Split(path)
	if err != nil {
		return place{}, err
	}
	if len(parts) == 0 {
		return place{}, ntstatus.ObjectNameInvalid
	}
	p, err := m.walk(parts)
	if err != nil {
		return p, err
	}
	if p.exists && p.entry.Handle != m.open.handle {
		switch {
		case !r.Replace:
			return p, ntstatus.ObjectNameCollision
		case p.entry.Attr.Type == causeway.TypeDirectory:
			return p, ntstatus.AccessDenied
		}
	}
	return p, nil
}

// rename is [MS-FSA] 2.1.5.15.11.
func (m *message) rename(data []byte, ex bool) error {
	o := m.open
	if err := o.needs(wire.AccessDelete); err != nil {
		return err
	}
	r, err := fscc.DecodeRename(data, ex)
	if err != nil {
		return err
	}
	from, name := o.place()
	if name == "" {
		return ntstatus.AccessDenied
	}
	p, err := m.target(&r)
	if err != nil {
		return err
	}
	last, err := names.Split(lastOf(r.Path))
	if err != nil || len(last) != 1 {
		return ntstatus.ObjectNameInvalid
	}
	// Of a name that differs in case only, the new spelling is meant.
	if _, _, err = m.conn.srv.cfg.Access.Rename(m.ctx(), &m.caller, from, name, p.parent, last[0]); err != nil {
		return err
	}
	p.path[len(p.path)-1] = last[0]
	m.conn.srv.files.moved(o.handle, from, name, p.parent, p.path)
	return nil
}

// lastOf is what stands behind the last "\" of a path.
func lastOf(path []byte) []byte {
	for i := len(path) - 2; i >= 0; i -= 2 {
		if path[i] == '\\' && path[i+1] == 0 {
			return path[i+2:]
		}
	}
	return path
}
