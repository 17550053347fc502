package blocks

import (
	"context"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
)

// Lookup finds a name.
func (s *Store) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (id causeway.ObjectID, a causeway.Attr, err error) {
	id, err = ask(s, func(t *mem.Store) (id causeway.ObjectID, err error) {
		id, a, err = t.Lookup(ctx, dir, name)
		return id, err
	})
	return id, a, err
}

// Stat returns attributes.
func (s *Store) Stat(ctx context.Context, id causeway.ObjectID) (causeway.Attr, error) {
	return ask(s, func(t *mem.Store) (causeway.Attr, error) { return t.Stat(ctx, id) })
}

// ACL implements backend.Tree.
func (s *Store) ACL(ctx context.Context, id causeway.ObjectID) (*causeway.ACL, error) {
	return ask(s, func(t *mem.Store) (*causeway.ACL, error) { return t.ACL(ctx, id) })
}

// List lists a directory.
func (s *Store) List(ctx context.Context, dir causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (bool, error) {
	return ask(s, func(t *mem.Store) (bool, error) { return t.List(ctx, dir, cookie, attrs, emit) })
}

// ReadLink returns the target of a symbolic link.
func (s *Store) ReadLink(ctx context.Context, id causeway.ObjectID) (string, error) {
	return ask(s, func(t *mem.Store) (string, error) { return t.ReadLink(ctx, id) })
}

// SetStat changes attributes. A file that becomes longer is zeros there.
func (s *Store) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	return s.change(func(o *owner) error {
		if !set.Has(causeway.SetSize) {
			return o.tree.SetStat(ctx, id, set)
		}
		f := o.file(id)
		f.rw.Lock()
		defer f.rw.Unlock()
		if a, err := o.tree.Stat(ctx, id); err != nil {
			return err
		} else if a.Type == causeway.TypeRegular && set.Size > a.Size {
			if err := o.zeroTail(ctx, f, a.Size, set.Size); err != nil {
				return err
			}
		}
		return o.tree.SetStat(ctx, id, set)
	})
}

// Create makes an object.
func (s *Store) Create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (id causeway.ObjectID, a causeway.Attr, err error) {
	err = s.change(func(o *owner) (err error) {
		id, a, err = o.tree.Create(ctx, dir, name, spec)
		return err
	})
	return id, a, err
}

// Remove removes a name; the blocks go with the last name and opener.
func (s *Store) Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error {
	return s.change(func(o *owner) error { return o.tree.Remove(ctx, parent, name, dir) })
}

// Rename moves a name.
func (s *Store) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	return s.change(func(o *owner) error { return o.tree.Rename(ctx, from, name, to, newName) })
}

// Link makes another name.
func (s *Store) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	return s.change(func(o *owner) error { return o.tree.Link(ctx, id, dir, name) })
}

// Persist writes the journal.
func (s *Store) Persist(ctx context.Context, _ ...causeway.ObjectID) error {
	o, err := s.owned()
	if err != nil {
		return err
	}
	return o.flush(ctx)
}

// StatFS reports the blocks for contents.
func (s *Store) StatFS(ctx context.Context) (causeway.FSStat, error) {
	o, err := s.owned()
	if err != nil {
		return causeway.FSStat{}, err
	}
	st, err := o.tree.StatFS(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	st.BlockSize, st.TotalBytes = uint32(s.size), (s.count-o.super.data())*s.size
	st.FreeBytes = uint64(len(o.free)+len(o.freed)) * s.size
	st.AvailBytes = st.FreeBytes
	return st, err
}
