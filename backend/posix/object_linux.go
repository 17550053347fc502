package posix

import (
	"context"
	"math"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// object is the open bytes of a regular file. All objects of one id share the node and its descriptor.
type object struct {
	store  *Store
	node   *node
	write  bool
	closed atomic.Bool
	seen   uint64 // failures of syncs, guarded by the node
}

var (
	_ backend.Object       = (*object)(nil)
	_ backend.Descriptor   = (*object)(nil)
	_ backend.NoWaitReader = (*object)(nil)
	_ backend.Puncher      = (*object)(nil)
)

// Open implements backend.Store.
func (s *Store) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, loc causeway.Locator) (backend.Object, error) {
	want := fdRead
	if mode == causeway.IOReadWrite {
		if want = fdWrite; s.readOnly {
			return nil, causeway.ErrROFS
		}
	}
	n, err := s.getAt(ctx, &id, loc)
	if err != nil {
		return nil, err
	}
	if err := s.openNode(n, want); err != nil {
		n.unpin()
		return nil, err
	}
	o := &object{store: s, node: n, write: want == fdWrite, seen: n.failuresSeen()}
	if n.direct {
		return direct{o, o, o}, nil
	}
	return o, nil
}

// openNode makes the bytes of a node accessible.
func (s *Store) openNode(n *node, want int32) error {
	switch n.typ {
	case causeway.TypeRegular:
	case causeway.TypeDirectory:
		return causeway.ErrIsDir
	default:
		return causeway.ErrInval
	}
	var st unix.Stat_t
	if e := fstat(n.fd, &st); e != 0 {
		return s.failNode(n, "open", e)
	}
	if st.Nlink == 0 {
		s.cache.drop(n)
		return causeway.ErrStale
	}
	_, e := s.roomy(func() (int, unix.Errno) { return 0, n.upgrade(want) })
	return s.failNode(n, "open", e)
}

// Extents implements backend.Store: the file system below owns the blocks, so the file is its own device and one extent
// covers it. The locator helps where ids are resolved through an index.
func (s *Store) Extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, _ causeway.Span) ([]causeway.Extent, causeway.Locator, error) {
	n, err := s.get(ctx, &id)
	if err != nil {
		return nil, nil, err
	}
	defer n.unpin()
	switch {
	case n.typ == causeway.TypeDirectory:
		return nil, nil, causeway.ErrIsDir
	case n.typ != causeway.TypeRegular:
		return nil, nil, causeway.ErrInval
	case mode == causeway.IOReadWrite && s.readOnly:
		return nil, nil, causeway.ErrROFS
	}
	var loc causeway.Locator
	if ix, ok := s.identity.(*index); ok {
		loc = ix.locate(n.ino)
	}
	return []causeway.Extent{{Length: causeway.ToEOF}}, loc, nil
}

// FD implements backend.Descriptor.
func (o *object) FD() int { return o.node.fd }

// Stat implements backend.Object, also when the last name is gone.
func (o *object) Stat(context.Context) (attr causeway.Attr, err error) {
	s, n := o.store, o.node
	if s.memory.attr(n.ino, &n.id, &attr) {
		return attr, nil
	}
	t := s.memory.now()
	var st unix.Stat_t
	if e := s.fstat(n.fd, &st); e != 0 {
		return attr, s.failNode(n, "stat", e)
	}
	s.fillAll(n, &st, &attr)
	s.memory.publish(t, &n.id, &attr)
	return attr, nil
}

// below cuts p so that it does not reach beyond the largest offset; reads there find nothing.
func below(p []byte, off uint64) []byte {
	if off >= math.MaxInt64 {
		return nil
	}
	return p[:min(uint64(len(p)), math.MaxInt64-off)]
}

// ReadAt implements backend.Object.
func (o *object) ReadAt(_ context.Context, p []byte, off uint64) (int, error) {
	p = below(p, off)
	done := 0
	for done < len(p) {
		n, e := pread(o.node.fd, p[done:], int64(off)+int64(done))
		if e != 0 {
			return done, fail("read", e)
		}
		if n == 0 {
			break
		}
		done += n
	}
	return done, nil
}

// ReadAtNoWait implements backend.NoWaitReader.
func (o *object) ReadAtNoWait(p []byte, off uint64) (int, error) {
	p = below(p, off)
	done := 0
	for done < len(p) {
		n, e := preadNoWait(o.node.fd, p[done:], int64(off)+int64(done))
		switch {
		case e == unix.EOPNOTSUPP && o.store.mount.memory:
			return o.ReadAt(context.Background(), p, off)
		case e == unix.EAGAIN || e == unix.EOPNOTSUPP || e == unix.ENOSYS || e == unix.EINVAL:
			return 0, causeway.ErrWouldBlock
		case e != 0:
			return done, fail("read", e)
		}
		if n == 0 {
			break
		}
		done += n
	}
	return done, nil
}

// WriteAt implements backend.Object.
func (o *object) WriteAt(_ context.Context, p []byte, off uint64) (int, error) {
	if !o.write {
		return 0, causeway.ErrInval
	}
	if off > math.MaxInt64-uint64(len(p)) {
		return 0, causeway.ErrFBig
	}
	o.store.soil(o.node)
	defer o.store.soil(o.node)
	o.store.memory.begin(o.node.ino)
	defer o.store.memory.end(o.node.ino)
	done := 0
	for done < len(p) {
		n, e := pwrite(o.node.fd, p[done:], int64(off)+int64(done))
		if e != 0 {
			return done, fail("write", e)
		}
		if n == 0 {
			return done, fail("write", unix.EIO)
		}
		done += n
	}
	return done, nil
}

// Sync implements backend.Object.
func (o *object) Sync(_ context.Context, dataOnly bool) error {
	err := o.store.syncNode(o.node, !dataOnly)
	if earlier := o.node.failedSince(&o.seen); err == nil {
		err = earlier
	}
	return err
}

// Punch implements backend.Puncher.
func (o *object) Punch(_ context.Context, span causeway.Span) error {
	if span.Length == 0 {
		return nil
	}
	if !o.write {
		return causeway.ErrInval
	}
	var st unix.Stat_t
	if e := fstat(o.node.fd, &st); e != 0 {
		return fail("punch", e)
	}
	end := min(span.End(), uint64(st.Size))
	if span.Offset >= end {
		return nil
	}
	o.store.soil(o.node)
	defer o.store.soil(o.node)
	o.store.memory.begin(o.node.ino)
	defer o.store.memory.end(o.node.ino)
	return fail("punch", retry(func() error {
		return unix.Fallocate(o.node.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(span.Offset), int64(end-span.Offset))
	}))
}

// Close implements backend.Object.
func (o *object) Close() error {
	if o.closed.Swap(true) {
		return causeway.ErrClosed
	}
	o.node.unpin()
	return nil
}
