package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
)

// place is where a path leads: the directory of its last component, and what is there.
type place struct {
	parent     causeway.Handle
	parentAttr causeway.Attr
	path       []string // as stored; of what does not exist, as it was asked for
	entry      gateway.Entry
	exists     bool
	root       bool // of the share: no parent
}

// name is the last component.
func (p *place) name() string { return p.path[len(p.path)-1] }

// walk follows a path from the root of the share. Without its last component it is no error; without another one it is
// ObjectPathNotFound. A symbolic link on the way stops the walk, its own reparse point at the end does not.
func (m *message) walk(parts []string) (p place, err error) {
	dir := m.tree.root.Handle
	if len(parts) == 0 {
		p.root, p.exists = true, true
		p.entry.Handle = dir
		p.entry.Attr, err = m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, dir)
		return p, err
	}
	p.path = make([]string, 0, len(parts))
	for i, name := range parts {
		last := i == len(parts)-1
		found, dirAttr, stored, err := m.lookup(dir, name)
		switch code := causeway.CodeOf(err); {
		case err == nil:
		case code == causeway.ErrNoEnt && last:
			p.parent, p.parentAttr = dir, dirAttr
			p.path = append(p.path, name)
			return p, nil
		case code == causeway.ErrNoEnt, code == causeway.ErrNotDir:
			return p, ntstatus.ObjectPathNotFound
		default:
			return p, err
		}
		p.path = append(p.path, stored)
		if last {
			p.parent, p.parentAttr, p.entry, p.exists = dir, dirAttr, found, true
			return p, nil
		}
		switch found.Attr.Type {
		case causeway.TypeDirectory:
		case causeway.TypeSymlink:
			return p, m.stopped(found.Handle, parts[i+1:])
		default:
			return p, ntstatus.ObjectPathNotFound
		}
		dir = found.Handle
	}
	return p, nil
}

// walked is walk, or what it found a moment ago, when the element could not go on where it was. Whoever was faster since is noticed when
// the object is opened, as after any walk.
func (m *message) walked(parts []string) (*place, error) {
	if p := m.place; p != nil {
		m.place = nil
		return p, nil
	}
	p, err := m.walk(parts)
	return &p, err
}

// lookup finds a name as it is spelt, or else as the volume takes names for the same.
func (m *message) lookup(dir causeway.Handle, name string) (found gateway.Entry, dirAttr causeway.Attr, stored string, err error) {
	cfg := &m.conn.srv.cfg
	found, dirAttr, err = cfg.Access.Lookup(m.conn.ctx, &m.caller, dir, name)
	folding := cfg.folding(m.tree.volume)
	if err == nil && m.tree.volume.SMB.CaseInsensitive {
		stored, err := m.storedAs(dir, &dirAttr, folding, name, found.Handle)
		return found, dirAttr, stored, err
	}
	if causeway.CodeOf(err) != causeway.ErrNoEnt || folding == names.Exact {
		return found, dirAttr, name, err
	}
	stored, listed := m.spelling(dir, &dirAttr, folding, name)
	if listed != nil {
		if causeway.CodeOf(listed) == causeway.ErrWouldBlock {
			return found, dirAttr, name, listed
		}
		return found, dirAttr, name, err // who may not list finds what he can spell
	}
	if stored == "" {
		return found, dirAttr, name, err
	}
	found, dirAttr, err = cfg.Access.Lookup(m.conn.ctx, &m.caller, dir, stored)
	return found, dirAttr, stored, err
}

// storedAs is how a directory spells a name that the engines have found, whatever its case.
func (m *message) storedAs(dir causeway.Handle, a *causeway.Attr, folding names.Folding, name string, found causeway.Handle) (string, error) {
	stored, err := m.spelling(dir, a, folding, name)
	switch {
	case causeway.CodeOf(err) == causeway.ErrWouldBlock:
		return "", err
	case err != nil || stored == "" || stored == name:
		return name, nil // who may not list knows how he spells it
	}
	other, _, err := m.conn.srv.cfg.Access.Lookup(m.conn.ctx, &m.caller, dir, stored)
	if err != nil || other.Handle != found { // there are both
		return name, nil
	}
	return stored, nil
}

// stopped is the error that tells a client to follow a symbolic link itself ([MS-SMB2] 2.2.2.2.1).
func (m *message) stopped(link causeway.Handle, rest []string) error {
	target, _, err := m.conn.srv.cfg.Access.ReadLink(m.conn.ctx, &m.caller, link)
	if err != nil {
		return err
	}
	unparsed := uint16(0)
	if len(rest) > 0 {
		unparsed = uint16(len(names.AppendPath(nil, rest)))
	}
	data, err := fscc.AppendSymlinkError(nil, target, unparsed)
	if err != nil {
		return ntstatus.ObjectPathNotFound
	}
	return &dataError{ntstatus.StoppedOnSymlink, data}
}
