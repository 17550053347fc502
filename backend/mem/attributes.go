package mem

import (
	"context"

	"causeway"
)

// setStat changes size, owner, mode, ACLs and times, in this order; nothing if any of them is refused.
func (s *Store) setStat(op *Op) error {
	n, err := s.get(op.Object)
	if err != nil {
		return err
	}
	set := &op.Set
	if err := n.maySet(set); err != nil {
		return err
	}
	if set.Has(causeway.SetSize) {
		s.resize(n, set.Size)
		n.dropPrivileges()
		n.attr.Mtime = op.Time
	}
	n.setOwner(set)
	if set.Has(causeway.SetMode) {
		n.setMode(set.Mode & causeway.ModeAll)
	}
	if set.Has(causeway.SetACL) {
		n.setACL(set.ACL)
	}
	if set.Has(causeway.SetDefaultACL) {
		n.defaultACL = cloneACL(set.DefaultACL)
	}
	n.setTimes(set, op.Time)
	n.touch(op, false)
	op.ObjectAttr, op.DefaultACL = n.stat(), n.defaultACL
	return nil
}

func (n *node) maySet(set *causeway.SetAttr) error {
	switch {
	case set.Has(causeway.SetSize) && n.dir != nil:
		return causeway.ErrIsDir
	case set.Has(causeway.SetSize) && n.attr.Type != causeway.TypeRegular:
		return causeway.ErrInval
	case set.Has(causeway.SetSize) && set.Size > maxSize:
		return causeway.ErrFBig
	case set.Has(causeway.SetMode|causeway.SetACL) && n.attr.Type == causeway.TypeSymlink:
		return causeway.ErrNotSupp
	case set.Has(causeway.SetDefaultACL) && set.DefaultACL != nil && n.dir == nil:
		return causeway.ErrAccess
	}
	if set.Has(causeway.SetACL) {
		if err := checkACL(set.ACL); err != nil {
			return err
		}
	}
	if set.Has(causeway.SetDefaultACL) {
		return checkACL(set.DefaultACL)
	}
	return nil
}

func (n *node) setOwner(set *causeway.SetAttr) {
	if !set.Has(causeway.SetUID | causeway.SetGID) {
		return
	}
	if set.Has(causeway.SetUID) {
		n.attr.UID = set.UID
	}
	if set.Has(causeway.SetGID) {
		n.attr.GID = set.GID
	}
	n.dropPrivileges()
}

func (n *node) setTimes(set *causeway.SetAttr, now causeway.Time) {
	switch {
	case set.Has(causeway.SetAtimeNow):
		n.attr.Atime = now
	case set.Has(causeway.SetAtime):
		n.attr.Atime = set.Atime
	}
	switch {
	case set.Has(causeway.SetMtimeNow):
		n.attr.Mtime = now
	case set.Has(causeway.SetMtime):
		n.attr.Mtime = set.Mtime
	}
}

// resize cuts a file or lets it end in a hole.
func (s *Store) resize(n *node, size uint64) {
	before := n.pages.Bytes()
	if size < n.attr.Size {
		n.pages.Zero(size, causeway.ToEOF)
	}
	n.attr.Size = size
	s.used -= before - n.pages.Bytes()
}

// ACL implements backend.Tree.
func (s *Store) ACL(ctx context.Context, id causeway.ObjectID) (*causeway.ACL, error) {
	a, err := s.Stat(ctx, id)
	return a.ACL, err
}
