package smb

import (
	"strings"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// tree is a tree connect: a share in use by a session ([MS-SMB2] 3.3.1.9).
type tree struct {
	id     uint32
	name   string
	volume *causeway.Volume // nil: IPC$
	root   gateway.Entry
	share  Share
}

// treeConnect is [MS-SMB2] 3.3.5.7.
func (m *message) treeConnect() error {
	if err := m.mayWait(); err != nil {
		return err
	}
	var r wire.TreeConnectRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	t, err := m.newTree(r.Path)
	if err != nil {
		return err
	}
	s := m.ch.session
	s.mu.Lock()
	if len(s.trees) >= m.conn.srv.cfg.MaxTrees {
		s.mu.Unlock()
		return ntstatus.InsufficientResources
	}
	for s.lastTree++; s.lastTree == 0 || s.lastTree == 1<<32-1 || s.trees[s.lastTree] != nil; s.lastTree++ {
	}
	t.id = s.lastTree
	s.trees[t.id] = t
	s.mu.Unlock()
	m.h.TreeID = t.id
	cfg := &m.conn.srv.cfg
	reply := wire.TreeConnectReply{Type: wire.ShareDisk, Maximal: wire.AccessAll}
	if t.volume == nil {
		reply.Type, reply.Maximal = wire.SharePipe, accessOfPipe
	}
	if t.share.ReadOnly {
		reply.Maximal = accessReadOnly
	}
	if t.volume != nil && cfg.Referrals != nil {
		reply.Flags, reply.Capabilities = wire.ShareDFS|wire.ShareDFSRoot, wire.ShareCapDFS
	}
	if t.share.Encrypt {
		reply.Flags |= wire.ShareEncrypt
	}
	m.b = reply.Append(m.b)
	return nil
}

// newTree finds the share of a path like \\server\share. Shares of which the user may know nothing do not exist.
func (m *message) newTree(path string) (*tree, error) {
	name := path
	if i := strings.LastIndexByte(path, '\\'); i >= 0 {
		name = path[i+1:]
	}
	if !strings.HasPrefix(path, `\\`) || name == "" || strings.Count(path, `\`) != 3 {
		return nil, ntstatus.BadNetworkName
	}
	cfg := &m.conn.srv.cfg
	if strings.EqualFold(name, "IPC$") {
		return &tree{name: "IPC$"}, nil
	}
	v := cfg.volume(name)
	if v == nil {
		return nil, ntstatus.BadNetworkName
	}
	share, ok := cfg.Share(v, m.ch.session.user.Load(), m.conn.remote)
	if !ok {
		return nil, ntstatus.AccessDenied
	}
	if share.Encrypt && m.ch.session.sealer == nil {
		return nil, ntstatus.AccessDenied
	}
	c := m.newCaller()
	root, err := cfg.Access.Root(m.conn.ctx, &c, v.ID)
	if err != nil {
		return nil, err
	}
	return &tree{name: v.Name, volume: v, root: root, share: share}, nil
}

// volume finds a volume by the name of its share: names of shares have no case.
func (c *Config) volume(name string) *causeway.Volume {
	if v := c.Catalog.ByName(name); v != nil {
		return v
	}
	for _, v := range c.Catalog.Volumes() {
		if strings.EqualFold(v.Name, name) {
			return v
		}
	}
	return nil
}

// treeDisconnect is [MS-SMB2] 3.3.5.8: it closes what was opened there.
func (m *message) treeDisconnect() error {
	if err := m.mayWait(); err != nil {
		return err
	}
	if err := wire.Empty(m.m); err != nil {
		return err
	}
	s := m.ch.session
	s.mu.Lock()
	delete(s.trees, m.tree.id)
	var opens []*open
	for _, o := range s.opens {
		if o.tree == m.tree {
			opens = append(opens, o)
		}
	}
	s.mu.Unlock()
	for _, o := range opens {
		o.end(m.conn.ctx)
	}
	m.b = wire.AppendEmpty(m.b)
	return nil
}

// newCaller is who asks: the session's user.
func (m *message) newCaller() gateway.Caller {
	c := gateway.Caller{Client: m.conn.remote, NoWait: m.reader, Life: m.conn.life}
	if m.ch != nil {
		c.Cred, c.Owner = m.ch.session.cred(), m.ch.session.owner()
	}
	if m.tree != nil {
		c.ReadOnly = m.tree.share.ReadOnly
	}
	return c
}
