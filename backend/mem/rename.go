package mem

import (
	"strings"

	"causeway"
)

// rename moves a name as rename(2) does; it reports whether anything changed (two names of one object stay as they are).
func (s *Store) rename(op *Op) (bool, error) {
	from, err := s.getDir(op.Dir)
	if err != nil {
		return false, err
	}
	to, err := s.getDir(op.To)
	if err != nil {
		return false, err
	}
	if err := checkName(op.NewName); err != nil {
		return false, err
	}
	source, target := from.dir.names[op.Name], to.dir.names[op.NewName]
	if source == nil {
		return false, causeway.ErrNoEnt
	}
	n := source.node
	if target != nil && target.node == n {
		return false, nil
	}
	if err := mayReplace(n, to, target); err != nil {
		return false, err
	}
	op.Object, op.IsDir, op.Cookie = s.id(n.ino), n.dir != nil, op.Seq
	s.dropName(from, op.Name)
	s.putName(to, target, n, op)
	from.touch(op, true)
	to.touch(op, true)
	n.touch(op, false)
	op.DirAttr, op.ToAttr, op.ObjectAttr = from.stat(), to.stat(), n.stat()
	return true, nil
}

// mayReplace refuses a rename of n into the directory to, over target if that is not nil.
func mayReplace(n, to *node, target *entry) error {
	if n.dir != nil && to.isBelow(n) {
		return causeway.ErrInval
	}
	switch {
	case target == nil:
		return nil
	case n.dir == nil && target.node.dir != nil:
		return causeway.ErrIsDir
	case n.dir != nil && target.node.dir == nil:
		return causeway.ErrNotDir
	case target.node.dir != nil && len(target.node.dir.names) > 0:
		return causeway.ErrNotEmpty
	}
	return nil
}

// putName enters n, in the place and with the cookie of the target if there is one: whoever lists the directory meanwhile
// sees the name once.
func (s *Store) putName(to *node, target *entry, n *node, op *Op) {
	if target == nil {
		to.dir.add(strings.Clone(op.NewName), op.Seq, n)
		s.used += entryCost + uint64(len(op.NewName)) // never refused: the old name was given back
	} else {
		victim := target.node
		target.node, op.Cookie = n, target.cookie
		if victim.dir != nil {
			to.attr.Nlink--
		}
		s.unlinked(victim, op)
		op.Victim, op.Gone, op.VictimAttr = s.id(victim.ino), victim.attr.Nlink == 0, victim.stat()
	}
	if n.dir != nil {
		to.attr.Nlink++
		n.parent = to
	}
}
