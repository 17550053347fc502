package smb

import (
	"causeway"
	"causeway/gateway/smb/security"
	"causeway/gateway/smb/wire"
)

// Sets of access rights.
const (
	accessChanges  = wire.AccessWriteData | wire.AccessAppendData | wire.AccessWriteEA | wire.AccessWriteAttributes | wire.AccessDeleteChild | wire.AccessDelete | wire.AccessWriteDAC | wire.AccessWriteOwner
	accessReadOnly = wire.AccessAll &^ accessChanges
	accessOfPipe   = 0x0011ff
)

// specific replaces generic rights by those that they stand for.
func specific(access uint32) uint32 { return uint32(security.Mask(access).Specific()) }

// keptAbove is the descriptor that is kept with a place's directory.
func (m *message) keptAbove(p *place) (*security.Descriptor, error) {
	if p.root {
		return nil, nil
	}
	return m.keptDescriptor(p.parent)
}

// rightsOn are the rights of the caller on what is at a place.
func (m *message) rightsOn(p *place) (uint32, error) {
	attr := p.entry.Attr
	kept, err := m.keptDescriptor(p.entry.Handle)
	if err != nil {
		return 0, err
	}
	above, err := m.keptAbove(p)
	if err != nil {
		return 0, err
	}
	if kept == nil && causeway.NeedsACL(&m.caller.Cred, &attr) {
		const all = causeway.MayRead | causeway.MayWrite | causeway.MayExec
		got, now, err := m.conn.srv.cfg.Access.Access(m.conn.ctx, &m.caller, p.entry.Handle, all)
		if err != nil {
			return 0, err
		}
		attr = now
		attr.Extended, attr.ACL = false, nil
		attr.Mode = attr.Mode&^0o77 | uint32(got)<<3 | uint32(got) // what the list gives him
	}
	var parent *causeway.Attr
	if !p.root {
		parent = &p.parentAttr
	}
	have := uint32(security.Combined(&m.caller.Cred, &attr, parent, kept, above))
	if m.caller.ReadOnly || m.tree.volume.ReadOnly {
		have &^= accessChanges
	}
	return have, nil
}
