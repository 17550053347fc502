package mem

import (
	"context"
	"maps"
	"slices"

	"causeway"
	"causeway/backend"
)

var _ backend.Xattrs = (*Store)(nil)

// maxXattrs bounds what an object's attributes take, in bytes.
const maxXattrs = 128 << 10

// Xattr returns an extended attribute.
func (s *Store) Xattr(_ context.Context, id causeway.ObjectID, name string) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.get(id)
	if err != nil {
		return nil, err
	}
	value, ok := n.xattrs[name]
	if !ok {
		return nil, causeway.ErrNoEnt
	}
	return slices.Clone(value), nil
}

// ListXattrs returns their names.
func (s *Store) ListXattrs(_ context.Context, id causeway.ObjectID) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.get(id)
	if err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(n.xattrs)), nil
}

// SetXattr sets one.
func (s *Store) SetXattr(_ context.Context, id causeway.ObjectID, name string, value []byte, how causeway.XattrHow) error {
	return s.changeXattr(id, func(n *node) error {
		old, ok := n.xattrs[name]
		switch {
		case ok && how == causeway.XattrCreate:
			return causeway.ErrExist
		case !ok && how == causeway.XattrReplace:
			return causeway.ErrNoEnt
		case n.xattrBytes()+len(name)+len(value)-len(old) > maxXattrs:
			return causeway.ErrNoSpc
		}
		if n.xattrs == nil {
			n.xattrs = make(map[string][]byte)
		}
		n.xattrs[name] = slices.Clone(value)
		return nil
	})
}

// RemoveXattr removes one.
func (s *Store) RemoveXattr(_ context.Context, id causeway.ObjectID, name string) error {
	return s.changeXattr(id, func(n *node) error {
		if _, ok := n.xattrs[name]; !ok {
			return causeway.ErrNoEnt
		}
		delete(n.xattrs, name)
		return nil
	})
}

// changeXattr changes attributes. Observers hear nothing of it: images have none.
func (s *Store) changeXattr(id causeway.ObjectID, do func(*node) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.get(id)
	if err != nil {
		return err
	}
	if n.attr.Type != causeway.TypeRegular && n.dir == nil {
		return causeway.ErrNotSupp
	}
	if err := do(n); err != nil {
		return err
	}
	s.seq++
	n.touch(&Op{Seq: s.seq, Time: causeway.TimeOf(s.cfg.Clock())}, false)
	return nil
}

func (n *node) xattrBytes() (total int) {
	for name, value := range n.xattrs {
		total += len(name) + len(value)
	}
	return total
}
