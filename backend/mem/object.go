package mem

import (
	"context"

	"causeway"
	"causeway/backend"
	"causeway/internal/sparse"
)

// Open opens the bytes of a regular file.
func (s *Store) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, loc causeway.Locator) (backend.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.regular(id)
	if err != nil {
		return nil, err
	}
	n.opens++
	return &object{store: s, node: n, writable: mode == causeway.IOReadWrite}, nil
}

// Extents answers one extent that covers the file.
func (s *Store) Extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, span causeway.Span) ([]causeway.Extent, causeway.Locator, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, err := s.regular(id); err != nil {
		return nil, nil, err
	}
	state := causeway.ExtentRead
	if mode == causeway.IOReadWrite {
		state = causeway.ExtentReadWrite
	}
	return []causeway.Extent{{Length: causeway.ToEOF, State: state}}, nil, nil
}

func (s *Store) regular(id causeway.ObjectID) (*node, error) {
	n, err := s.get(id)
	switch {
	case err != nil:
		return nil, err
	case n.dir != nil:
		return nil, causeway.ErrIsDir
	case n.attr.Type != causeway.TypeRegular:
		return nil, causeway.ErrInval
	}
	return n, nil
}

// object is the open bytes of a file.
type object struct {
	store    *Store
	node     *node
	writable bool
	closed   bool // guarded by store.mu
}

var (
	_ backend.NoWaitReader = (*object)(nil)
	_ backend.Puncher      = (*object)(nil)
)

// usable is called with the store's lock held.
func (o *object) usable() error {
	if o.store.closed {
		return causeway.ErrClosed
	}
	if o.closed {
		return causeway.ErrInval
	}
	return nil
}

func (o *object) Stat(ctx context.Context) (causeway.Attr, error) {
	o.store.mu.RLock()
	defer o.store.mu.RUnlock()
	if err := o.usable(); err != nil {
		return causeway.Attr{}, err
	}
	return o.node.stat(), nil
}

func (o *object) ReadAt(ctx context.Context, p []byte, off uint64) (int, error) {
	return o.ReadAtNoWait(p, off)
}

// ReadAtNoWait is ReadAt: memory never waits.
func (o *object) ReadAtNoWait(p []byte, off uint64) (int, error) {
	o.store.mu.RLock()
	defer o.store.mu.RUnlock()
	if err := o.usable(); err != nil {
		return 0, err
	}
	size := o.node.attr.Size
	if off >= size {
		return 0, nil
	}
	p = p[:min(uint64(len(p)), size-off)]
	o.node.pages.Read(p, off)
	return len(p), nil
}

func (o *object) WriteAt(ctx context.Context, p []byte, off uint64) (int, error) {
	if err := o.change(&Op{Kind: OpWrite, Object: o.store.id(o.node.ino), Offset: off, Data: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (o *object) Punch(ctx context.Context, span causeway.Span) error {
	return o.change(&Op{Kind: OpPunch, Object: o.store.id(o.node.ino), Span: span})
}

func (o *object) change(op *Op) error {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	if err := o.usable(); err != nil {
		return err
	}
	if !o.writable {
		return causeway.ErrAccess
	}
	if op.Kind == OpWrite && len(op.Data) == 0 {
		return nil // as write(2): not even the times change
	}
	return o.store.apply(op)
}

// Sync has nothing to do.
func (o *object) Sync(ctx context.Context, dataOnly bool) error {
	o.store.mu.RLock()
	defer o.store.mu.RUnlock()
	return o.usable()
}

func (o *object) Close() error {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	if err := o.usable(); err != nil {
		return err
	}
	o.closed = true
	o.node.opens--
	o.store.reap(o.node)
	return nil
}

// write stores bytes: all of them or none.
func (s *Store) write(op *Op) error {
	n, err := s.regular(op.Object)
	if err != nil {
		return err
	}
	length := uint64(len(op.Data))
	if op.Offset > maxSize || length > maxSize-op.Offset {
		return causeway.ErrFBig
	}
	if err := s.charge(n.pages.Missing(op.Offset, length) * sparse.PageSize); err != nil {
		return err
	}
	n.pages.Write(op.Data, op.Offset)
	n.attr.Size = max(n.attr.Size, op.Offset+length)
	n.dropPrivileges()
	n.touch(op, true)
	op.ObjectAttr = n.stat()
	return nil
}

// punch makes a range read as zeros; the size stays.
func (s *Store) punch(op *Op) error {
	n, err := s.regular(op.Object)
	if err != nil {
		return err
	}
	if op.Span.Length == 0 {
		return causeway.ErrInval
	}
	before := n.pages.Bytes()
	n.pages.Zero(op.Span.Offset, op.Span.End())
	s.used -= before - n.pages.Bytes()
	n.dropPrivileges()
	n.touch(op, true)
	op.ObjectAttr = n.stat()
	return nil
}

// Written tells that contents which lie elsewhere were written: the file is size bytes long at least, and its mtime is not
// before the given one, or now if that is zero.
func (s *Store) Written(id causeway.ObjectID, size uint64, mtime causeway.Time) error {
	return s.change(&Op{Kind: OpWritten, Object: id, Offset: size, Set: causeway.SetAttr{Mtime: mtime}})
}

func (s *Store) written(op *Op) error {
	n, err := s.regular(op.Object)
	if err != nil {
		return err
	}
	if op.Offset > maxSize {
		return causeway.ErrFBig
	}
	n.attr.Size = max(n.attr.Size, op.Offset)
	n.dropPrivileges()
	before := n.attr.Mtime
	n.touch(op, true)
	if op.Set.Mtime != (causeway.Time{}) {
		n.attr.Mtime = op.Set.Mtime
		if before.Compare(op.Set.Mtime) > 0 {
			n.attr.Mtime = before
		}
	}
	op.ObjectAttr = n.stat()
	return nil
}
