package mem

import (
	"strings"

	"causeway"
	"causeway/internal/sparse"
)

// checkName refuses what cannot be an entry's name.
func checkName(name string) error {
	if name == "." || name == ".." {
		return causeway.ErrBadName
	}
	if code := causeway.CheckName(name); code != causeway.OK {
		return code
	}
	return nil
}

// slot finds the directory where a name is to be made.
func (s *Store) slot(dir causeway.ObjectID, name string) (*node, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	d, err := s.getDir(dir)
	if err != nil {
		return nil, err
	}
	if d.dir.names[name] != nil {
		return nil, causeway.ErrExist
	}
	return d, nil
}

func (s *Store) create(op *Op) error {
	d, err := s.slot(op.Dir, op.Name)
	if err != nil {
		return err
	}
	spec := &op.Spec
	switch {
	case spec.Type < causeway.TypeRegular || spec.Type > causeway.TypeFIFO:
		return causeway.ErrBadType
	case spec.Type == causeway.TypeSymlink && (spec.Target == "" || strings.IndexByte(spec.Target, 0) >= 0):
		return causeway.ErrInval
	case len(spec.Target) > causeway.MaxPath:
		return causeway.ErrNameTooLong
	}
	if err := s.charge(objectCost + entryCost + uint64(len(op.Name)+len(spec.Target))); err != nil {
		return err
	}
	n := newNode(op)
	n.used = s.cfg.Used
	n.inherit(d)
	op.Object, op.IsDir = s.id(n.ino), n.dir != nil
	s.nodes[n.ino] = n
	d.dir.add(strings.Clone(op.Name), op.Seq, n)
	if n.dir != nil {
		n.parent = d
		d.attr.Nlink++
	}
	d.touch(op, true)
	op.DirAttr, op.ObjectAttr, op.DefaultACL, op.Cookie = d.stat(), n.stat(), n.defaultACL, op.Seq
	return nil
}

// newNode makes the object that a create describes.
func newNode(op *Op) *node {
	spec := &op.Spec
	n := &node{ino: op.Seq, attr: causeway.Attr{Type: spec.Type, Mode: spec.Mode & causeway.ModeAll, Nlink: 1, UID: spec.UID, GID: spec.GID,
		FileID: op.Seq, Atime: op.Time, Mtime: op.Time, Ctime: op.Time, Btime: op.Time, Change: op.Seq}}
	if spec.Atime != nil {
		n.attr.Atime = *spec.Atime
	}
	if spec.Mtime != nil {
		n.attr.Mtime = *spec.Mtime
	}
	switch spec.Type {
	case causeway.TypeRegular:
		n.pages = make(sparse.Pages)
	case causeway.TypeDirectory:
		n.dir, n.attr.Nlink = newDirectory(), 2
	case causeway.TypeSymlink:
		n.target, n.attr.Mode = strings.Clone(spec.Target), causeway.ModePerm
	case causeway.TypeBlock, causeway.TypeChar:
		n.attr.Major, n.attr.Minor = spec.Major, spec.Minor
	}
	return n
}

func (s *Store) remove(op *Op) error {
	d, err := s.getDir(op.Dir)
	if err != nil {
		return err
	}
	e := d.dir.names[op.Name]
	switch {
	case e == nil:
		return causeway.ErrNoEnt
	case op.IsDir && e.node.dir == nil:
		return causeway.ErrNotDir
	case !op.IsDir && e.node.dir != nil:
		return causeway.ErrIsDir
	case op.IsDir && len(e.node.dir.names) > 0:
		return causeway.ErrNotEmpty
	}
	n := e.node
	s.dropName(d, op.Name)
	d.touch(op, true)
	s.unlinked(n, op)
	op.Object, op.Gone = s.id(n.ino), n.attr.Nlink == 0
	op.DirAttr, op.ObjectAttr = d.stat(), n.stat()
	return nil
}

// dropName takes an entry out of a directory; the object stays.
func (s *Store) dropName(d *node, name string) {
	if d.dir.names[name].node.dir != nil {
		d.attr.Nlink--
	}
	d.dir.remove(name)
	s.used -= entryCost + uint64(len(name))
}

func (s *Store) link(op *Op) error {
	n, err := s.get(op.Object)
	if err != nil {
		return err
	}
	d, err := s.slot(op.Dir, op.Name)
	switch {
	case err != nil:
		return err
	case n.dir != nil:
		return causeway.ErrPerm
	case n.attr.Nlink == 0:
		return causeway.ErrStale
	case n.attr.Nlink >= maxLinks:
		return causeway.ErrMLink
	}
	if err := s.charge(entryCost + uint64(len(op.Name))); err != nil {
		return err
	}
	d.dir.add(strings.Clone(op.Name), op.Seq, n)
	n.attr.Nlink++
	n.touch(op, false)
	d.touch(op, true)
	op.DirAttr, op.ObjectAttr, op.Cookie = d.stat(), n.stat(), op.Seq
	return nil
}
