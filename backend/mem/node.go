package mem

import (
	"encoding/binary"

	"causeway"
	"causeway/internal/sparse"
)

// node is an object. What is set of parent, dir, pages and target depends on its type.
type node struct {
	ino   uint64
	used  func(ino uint64) uint64 // nil: what pages take
	attr  causeway.Attr           // FileID, Nlink and Size are kept here, Used is counted from pages
	opens int                     // Objects that keep the node when its last name is gone

	parent     *node
	dir        *directory
	defaultACL *causeway.ACL
	xattrs     map[string][]byte
	pages      sparse.Pages
	target     string
}

// id makes an object id: number and generation, big endian, the rest zero.
func (s *Store) id(ino uint64) causeway.ObjectID {
	var id causeway.ObjectID
	binary.BigEndian.PutUint64(id[0:], ino)
	binary.BigEndian.PutUint64(id[8:], s.cfg.Generation)
	return id
}

// get finds the object of an id.
func (s *Store) get(id causeway.ObjectID) (*node, error) {
	if s.closed {
		return nil, causeway.ErrClosed
	}
	n := s.nodes[binary.BigEndian.Uint64(id[:])]
	if n == nil || s.id(n.ino) != id {
		return nil, causeway.ErrStale
	}
	return n, nil
}

// getDir finds a directory that still has a name.
func (s *Store) getDir(id causeway.ObjectID) (*node, error) {
	n, err := s.get(id)
	if err != nil {
		return nil, err
	}
	if n.dir == nil {
		return nil, causeway.ErrNotDir
	}
	return n, nil
}

// stat returns the attributes as callers see them.
func (n *node) stat() causeway.Attr {
	a := n.attr
	switch a.Type {
	case causeway.TypeRegular:
		if a.Used = n.pages.Bytes(); n.used != nil {
			a.Used = n.used(n.ino)
		}
	case causeway.TypeDirectory:
		a.Size = uint64(len(n.dir.names)+2) * entrySize
	case causeway.TypeSymlink:
		a.Size = uint64(len(n.target))
	}
	return a
}

// entrySize is what one name adds to a directory's size.
const entrySize = 32

// touch marks a change of attributes, and of the contents if data is true.
func (n *node) touch(op *Op, data bool) {
	n.attr.Ctime, n.attr.Change = op.Time, op.Seq
	if data {
		n.attr.Mtime = op.Time
	}
}

// dropPrivileges clears set-user-id, and set-group-id of what its group may execute, as Linux does when data or owner
// change; set-group-id without execution once meant mandatory locking and stays.
func (n *node) dropPrivileges() {
	if n.attr.Type != causeway.TypeRegular {
		return
	}
	n.attr.Mode &^= causeway.ModeSetUID
	if n.attr.Mode&0o010 != 0 {
		n.attr.Mode &^= causeway.ModeSetGID
	}
}

// unlinked takes a name from n, and forgets n if that was the last one and nobody has it open.
func (s *Store) unlinked(n *node, op *Op) {
	n.touch(op, false)
	if n.dir != nil {
		n.attr.Nlink = 0
	} else {
		n.attr.Nlink--
	}
	s.reap(n)
}

// reap forgets n if it has neither a name nor an opener.
func (s *Store) reap(n *node) {
	if n.attr.Nlink > 0 || n.opens > 0 || s.closed {
		return
	}
	s.used -= objectCost + uint64(len(n.target)) + n.pages.Bytes()
	delete(s.nodes, n.ino)
	if s.cfg.Forgot != nil {
		s.cfg.Forgot(n.ino)
	}
}

// isBelow reports whether n is top or lies in the tree below it.
func (n *node) isBelow(top *node) bool {
	for {
		if n == top {
			return true
		}
		if n.parent == n {
			return false
		}
		n = n.parent
	}
}
