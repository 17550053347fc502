package mem

import (
	"context"

	"causeway"
	"causeway/backend"
)

// Lookup finds name in dir.
func (s *Store) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.getDir(dir)
	if err != nil {
		return causeway.ObjectID{}, causeway.Attr{}, err
	}
	n := d
	switch name {
	case ".":
	case "..":
		n = d.parent
	default:
		e := d.dir.names[name]
		if e == nil {
			return causeway.ObjectID{}, causeway.Attr{}, causeway.ErrNoEnt
		}
		n = e.node
	}
	return s.id(n.ino), n.stat(), nil
}

// Stat returns the attributes of an object.
func (s *Store) Stat(ctx context.Context, id causeway.ObjectID) (causeway.Attr, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.get(id)
	if err != nil {
		return causeway.Attr{}, err
	}
	return n.stat(), nil
}

// ReadLink returns the target of a symbolic link.
func (s *Store) ReadLink(ctx context.Context, id causeway.ObjectID) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.get(id)
	if err != nil {
		return "", err
	}
	if n.attr.Type != causeway.TypeSymlink {
		return "", causeway.ErrInval
	}
	return n.target, nil
}

// List emits the entries of dir behind cookie in the order in which their names came to be. The lock is not held while emit
// runs.
func (s *Store) List(ctx context.Context, dir causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (bool, error) {
	batch := make([]causeway.DirEntry, 0, listBatch)
	for {
		var err error
		if batch, err = s.listSome(dir, cookie, attrs, batch[:0]); err != nil {
			return false, err
		}
		for i := range batch {
			cookie = batch[i].Cookie
			if !emit(&batch[i]) {
				return false, nil
			}
		}
		if len(batch) < cap(batch) {
			return true, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
}

func (s *Store) listSome(dir causeway.ObjectID, cookie uint64, attrs bool, batch []causeway.DirEntry) ([]causeway.DirEntry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.getDir(dir)
	if err != nil {
		return nil, err
	}
	if cookie > s.seq {
		return nil, causeway.ErrBadCookie
	}
	return s.fill(d, cookie, attrs, batch), nil
}

// Create makes a new object.
func (s *Store) Create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (causeway.ObjectID, causeway.Attr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op := Op{Kind: OpCreate, Dir: dir, Name: name, Spec: *spec}
	if err := s.apply(&op); err != nil {
		return causeway.ObjectID{}, causeway.Attr{}, err
	}
	return op.Object, s.nodes[op.Seq].stat(), nil
}

// Remove removes a name.
func (s *Store) Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error {
	return s.change(&Op{Kind: OpRemove, Dir: parent, Name: name, IsDir: dir})
}

// Rename moves a name.
func (s *Store) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	return s.change(&Op{Kind: OpRename, Dir: from, Name: name, To: to, NewName: newName})
}

// Link gives an object that is not a directory another name.
func (s *Store) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	return s.change(&Op{Kind: OpLink, Object: id, Dir: dir, Name: name})
}

// SetStat changes attributes.
func (s *Store) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	return s.change(&Op{Kind: OpSetStat, Object: id, Set: *set})
}
