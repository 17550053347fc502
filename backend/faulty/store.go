package faulty

import (
	"context"

	"causeway"
	"causeway/backend"
)

// Root is never taken by a rule.
func (s *Store) Root() causeway.ObjectID { return s.inner.Root() }

// Close closes the store within.
func (s *Store) Close() error { return s.inner.Close() }

// Lookup is taken by rules for its directory.
func (s *Store) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (id causeway.ObjectID, a causeway.Attr, err error) {
	err = s.call(ctx, OpLookup, dir, func() (err error) {
		id, a, err = s.inner.Lookup(ctx, dir, name)
		return err
	})
	return id, a, err
}

// Stat is taken by rules for its object, as are all below that have one.
func (s *Store) Stat(ctx context.Context, id causeway.ObjectID) (a causeway.Attr, err error) {
	err = s.call(ctx, OpStat, id, func() (err error) {
		a, err = s.inner.Stat(ctx, id)
		return err
	})
	return a, err
}

// ACL implements backend.Tree; the rules of OpStat take it.
func (s *Store) ACL(ctx context.Context, id causeway.ObjectID) (acl *causeway.ACL, err error) {
	err = s.call(ctx, OpStat, id, func() error {
		acl, err = s.inner.ACL(ctx, id)
		return err
	})
	return acl, err
}

// SetStat changes attributes.
func (s *Store) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	return s.call(ctx, OpSetStat, id, func() error { return s.inner.SetStat(ctx, id, set) })
}

// List lists a directory.
func (s *Store) List(ctx context.Context, dir causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (eof bool, err error) {
	err = s.call(ctx, OpList, dir, func() (err error) {
		eof, err = s.inner.List(ctx, dir, cookie, attrs, emit)
		return err
	})
	return eof, err
}

// ReadLink returns the target of a symbolic link.
func (s *Store) ReadLink(ctx context.Context, id causeway.ObjectID) (target string, err error) {
	err = s.call(ctx, OpReadLink, id, func() (err error) {
		target, err = s.inner.ReadLink(ctx, id)
		return err
	})
	return target, err
}

// Create makes an object.
func (s *Store) Create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (id causeway.ObjectID, a causeway.Attr, err error) {
	err = s.call(ctx, OpCreate, dir, func() (err error) {
		id, a, err = s.inner.Create(ctx, dir, name, spec)
		return err
	})
	return id, a, err
}

// Remove removes a name.
func (s *Store) Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error {
	return s.call(ctx, OpRemove, parent, func() error { return s.inner.Remove(ctx, parent, name, dir) })
}

// Rename moves a name.
func (s *Store) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	return s.call(ctx, OpRename, from, func() error { return s.inner.Rename(ctx, from, name, to, newName) })
}

// Link makes another name.
func (s *Store) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	return s.call(ctx, OpLink, id, func() error { return s.inner.Link(ctx, id, dir, name) })
}

// StatFS has no object.
func (s *Store) StatFS(ctx context.Context) (fs causeway.FSStat, err error) {
	err = s.call(ctx, OpStatFS, causeway.ObjectID{}, func() (err error) {
		fs, err = s.inner.StatFS(ctx)
		return err
	})
	return fs, err
}

// Persist is taken by rules for any of its objects.
func (s *Store) Persist(ctx context.Context, ids ...causeway.ObjectID) error {
	do := func() error { return s.inner.Persist(ctx, ids...) }
	if len(ids) == 0 {
		return s.call(ctx, OpPersist, causeway.ObjectID{}, do)
	}
	for _, id := range ids[1:] {
		next := do
		do = func() error { return s.call(ctx, OpPersist, id, next) }
	}
	return s.call(ctx, OpPersist, ids[0], do)
}

// Extents maps a span.
func (s *Store) Extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, span causeway.Span) (e []causeway.Extent, loc causeway.Locator, err error) {
	err = s.call(ctx, OpExtents, id, func() (err error) {
		e, loc, err = s.inner.Extents(ctx, id, mode, span)
		return err
	})
	return e, loc, err
}

// Open opens the bytes of a file.
func (s *Store) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, loc causeway.Locator) (o backend.Object, err error) {
	err = s.call(ctx, OpOpen, id, func() error {
		inner, err := s.inner.Open(ctx, id, mode, loc)
		if err == nil {
			o = &object{s, inner, id}
		}
		return err
	})
	if err != nil && o != nil { // opened, but told that it was not
		_ = o.Close()
		o = nil
	}
	return o, err
}

// object lets calls of an open file fail or wait.
type object struct {
	store *Store
	inner backend.Object
	id    causeway.ObjectID
}

var (
	_ backend.NoWaitReader = (*object)(nil)
	_ backend.Puncher      = (*object)(nil)
)

func (o *object) Stat(ctx context.Context) (a causeway.Attr, err error) {
	err = o.store.call(ctx, OpObjectStat, o.id, func() (err error) {
		a, err = o.inner.Stat(ctx)
		return err
	})
	return a, err
}

func (o *object) ReadAt(ctx context.Context, p []byte, off uint64) (n int, err error) {
	err = o.store.call(ctx, OpReadAt, o.id, func() (err error) {
		n, err = o.inner.ReadAt(ctx, p, off)
		return err
	})
	return n, err
}

// ReadAtNoWait would block wherever there are rules for reading: so the call comes back as one that may wait.
func (o *object) ReadAtNoWait(p []byte, off uint64) (int, error) {
	inner, can := o.inner.(backend.NoWaitReader)
	if !can || o.store.watches(OpReadAt, o.id) {
		return 0, causeway.ErrWouldBlock
	}
	return inner.ReadAtNoWait(p, off)
}

func (o *object) WriteAt(ctx context.Context, p []byte, off uint64) (n int, err error) {
	err = o.store.call(ctx, OpWriteAt, o.id, func() (err error) {
		n, err = o.inner.WriteAt(ctx, p, off)
		return err
	})
	return n, err
}

func (o *object) Punch(ctx context.Context, s causeway.Span) error {
	inner, can := o.inner.(backend.Puncher)
	if !can {
		return causeway.ErrNotSupp
	}
	return o.store.call(ctx, OpPunch, o.id, func() error { return inner.Punch(ctx, s) })
}

// Sync that fails by a rule also loses the data that it should have made stable, if what is wrapped is Volatile.
func (o *object) Sync(ctx context.Context, dataOnly bool) error {
	r, err := o.store.meet(ctx, OpSync, o.id)
	if err == nil {
		return r.answer(o.inner.Sync(ctx, dataOnly))
	}
	if l, can := o.inner.(loser); can && causeway.CodeOf(err) == r.Code {
		l.loseDirty()
	}
	return err
}

// Close is never taken by a rule.
func (o *object) Close() error { return o.inner.Close() }

// loser is an object whose unstable data can be lost.
type loser interface{ loseDirty() }

// watches reports whether a rule may take a call.
func (s *Store) watches(op Op, id causeway.ObjectID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if (r.Op == 0 || r.Op == op) && (r.Object.IsZero() || r.Object == id) && (r.Times == 0 || r.taken < r.Times) {
			return true
		}
	}
	return false
}
