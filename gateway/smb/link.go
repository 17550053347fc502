package smb

import (
	"fmt"

	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
)

// link is [MS-FSA] 2.1.5.15.6.
func (m *message) link(data []byte) error {
	r, err := fscc.DecodeRename(data, false)
	if err != nil {
		return err
	}
	if m.open.dir {
		return ntstatus.FileIsADirectory
	}
	p, err := m.target(&r)
	if err != nil {
		return err
	}
	if p.exists {
		if p.entry.Handle == m.open.handle {
			return nil
		}
		return m.linkOver(&p)
	}
	_, _, err = m.conn.srv.cfg.Access.Link(m.ctx(), &m.caller, m.open.handle, p.parent, p.name())
	return err
}

// linkOver replaces what has a name: the name is that of one file or of the other at every moment. A gateway that ends in between leaves the
// file with one name more.
func (m *message) linkOver(p *place) error {
	access, by := m.conn.srv.cfg.Access, &m.caller
	beside := fmt.Sprintf(".link-%016x", randomID())
	if _, _, err := access.Link(m.ctx(), by, m.open.handle, p.parent, beside); err != nil {
		return err
	}
	_, _, err := access.Rename(m.ctx(), by, p.parent, beside, p.parent, p.name())
	if err != nil {
		_, _ = access.Remove(m.conn.srv.ctx, by, p.parent, beside, gateway.RemoveFile) // also if the client has cancelled
	}
	return err
}
