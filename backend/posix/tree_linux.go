package posix

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
)

// get returns the pinned node of an id.
func (s *Store) get(ctx context.Context, id *causeway.ObjectID) (*node, error) {
	if n := s.cache.get(id); n != nil {
		return n, nil
	}
	if s.closed.Load() {
		return nil, causeway.ErrClosed
	}
	fd, err := s.identity.open(ctx, *id)
	if err != nil {
		if ino, ok := s.identity.inoOf(*id); ok && err == causeway.ErrStale {
			s.known.forget(ino, id)
		}
		return nil, err
	}
	return s.adoptAs(fd, id)
}

// adopt makes a pinned node of an open descriptor, which is the node's from then on, or closed. sx is filled if not nil.
func (s *Store) adopt(fd int, access int32, sx *unix.Statx_t) (*node, error) {
	return s.adoptNew(fd, access, sx, false)
}

// adoptNew is adopt of an object that was made a moment ago, or not: one that was made has had a name, although another call may have taken
// it away by now.
func (s *Store) adoptNew(fd int, access int32, sx *unix.Statx_t, made bool) (*node, error) {
	var own unix.Statx_t
	if sx == nil {
		sx = &own
	}
	e := statxFD(fd, sx)
	switch {
	case e != 0 || sx.Nlink != 0:
	case made:
		sx.Nlink = 1
	default:
		e = unix.ESTALE
	}
	if e == 0 && !s.inTree(sx) {
		e = unix.EACCES // a subvolume: its inode numbers are not unique here
	}
	n := &node{fd: fd, ino: sx.Ino, typ: typeOf(uint32(sx.Mode)), btime: btimeOf(sx)}
	if e == 0 {
		n.id, e = idOf(s.identity, fd, sx.Ino, n.btime)
	}
	if e != 0 {
		unix.Close(fd)
		return nil, fail("identify", e)
	}
	s.remember(n)
	n.refs.Store(1)
	n.access.Store(access)
	s.pageless(n)
	s.makeRoom()
	return s.cache.put(n), nil
}

// remember makes an object known whose node has its descriptor, so that no other one has its inode number yet.
func (s *Store) remember(n *node) {
	if s.births && settled(n.btime, s.now()) {
		s.known.put(n.ino, n.btime, n.id)
	}
}

// openNamed returns the pinned node of a name in a directory: an errno of opening it, or an error of what was opened.
func (s *Store) openNamed(dir *node, c *cname, seen causeway.FileType, sx *unix.Statx_t) (*node, unix.Errno, error) {
	var access int32
	fd := -1
	e := steady(func() (e unix.Errno) {
		fd, e = s.roomy(func() (fd int, e unix.Errno) {
			fd, access, e = s.mount.openEntry(dir.fd, c, seen)
			return fd, e
		})
		return e
	})
	if e != 0 {
		return nil, e, nil
	}
	if seen != causeway.TypeRegular || access == fdPath {
		n, err := s.adopt(fd, access, sx)
		return n, 0, err
	}
	if e = statxFD(fd, sx); e == 0 && typeOf(uint32(sx.Mode)) != seen { // exchanged meanwhile: it must not stay open for real
		unix.Close(fd)
		return s.openNamed(dir, c, 0, sx)
	}
	n, err := s.adopt(fd, access, sx)
	return n, 0, err
}

// hides reports whether a name is the store's own.
func (s *Store) hides(dir *node, name string) bool { return name == markerDir && dir == s.root }

// failIn is fail for an operation in a directory: what is not found in a directory that is gone is stale, and what is stale in one
// that lives is in motion.
func (s *Store) failIn(dir *node, op string, e unix.Errno) error {
	if e == unix.ESTALE {
		var st unix.Stat_t
		if fstat(dir.fd, &st) == 0 && st.Nlink > 0 {
			return &causeway.Error{Op: "posix " + op, Code: causeway.ErrDelay, Err: e}
		}
		s.cache.drop(dir)
	}
	if e == unix.ENOENT {
		var st unix.Stat_t
		if fstat(dir.fd, &st) == 0 && st.Nlink == 0 {
			s.cache.drop(dir)
			return causeway.ErrStale
		}
	}
	return fail(op, e)
}

// Lookup implements backend.Tree. In the steady state it is one system call, and none on an exclusive volume.
func (s *Store) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (id causeway.ObjectID, attr causeway.Attr, err error) {
	if known, code := s.recall(&dir, name, &id, &attr); known {
		if code != causeway.OK {
			return id, attr, code
		}
		return id, attr, nil
	}
	dn, err := s.get(ctx, &dir)
	if err != nil {
		return id, attr, err
	}
	err = s.identify(dn, name, &id, &attr)
	dn.unpin()
	if err != nil {
		return causeway.ObjectID{}, causeway.Attr{}, err
	}
	return id, attr, nil
}

// recall finds a name in memory.
func (s *Store) recall(dir *causeway.ObjectID, name string, id *causeway.ObjectID, attr *causeway.Attr) (bool, causeway.Code) {
	if s.memory == nil || s.closed.Load() {
		return false, 0
	}
	ino, ok := s.identity.inoOf(*dir)
	if !ok {
		return false, 0
	}
	return s.memory.lookup(ino, dir, name, id, attr)
}

// Stat implements backend.Tree: one fstat, and no system call on an exclusive volume.
func (s *Store) Stat(ctx context.Context, id causeway.ObjectID) (attr causeway.Attr, err error) {
	if s.memory != nil && !s.closed.Load() {
		if ino, ok := s.identity.inoOf(id); ok && s.memory.attr(ino, &id, &attr) {
			return attr, nil
		}
	}
	n, err := s.get(ctx, &id)
	if err != nil {
		return attr, err
	}
	err = s.attrs(n, &attr)
	n.unpin()
	return attr, err
}

// ReadLink implements backend.Tree.
func (s *Store) ReadLink(ctx context.Context, id causeway.ObjectID) (string, error) {
	n, err := s.get(ctx, &id)
	if err != nil {
		return "", err
	}
	defer n.unpin()
	if n.typ != causeway.TypeSymlink {
		return "", causeway.ErrInval
	}
	var buf [causeway.MaxPath + 1]byte
	empty := byte(0)
	for {
		size, _, e := unix.Syscall6(unix.SYS_READLINKAT, uintptr(n.fd), uintptr(unsafe.Pointer(&empty)), uintptr(unsafe.Pointer(&buf)), uintptr(len(buf)), 0, 0)
		if e == 0 {
			return string(buf[:size]), nil
		}
		if e != unix.EINTR {
			return "", fail("readlink", e)
		}
	}
}

// StatFS implements backend.Tree.
func (s *Store) StatFS(context.Context) (causeway.FSStat, error) {
	var fs unix.Statfs_t
	if e := retry(func() error { return unix.Fstatfs(s.mount.fd, &fs) }); e != 0 {
		return causeway.FSStat{}, fail("statfs", e)
	}
	unit := uint64(fs.Frsize)
	if unit == 0 {
		unit = uint64(fs.Bsize)
	}
	return causeway.FSStat{
		TotalBytes: fs.Blocks * unit, FreeBytes: fs.Bfree * unit, AvailBytes: fs.Bavail * unit,
		TotalFiles: fs.Files, FreeFiles: fs.Ffree, AvailFiles: fs.Ffree,
		BlockSize: uint32(fs.Bsize), ReadOnly: s.readOnly || fs.Flags&unix.ST_RDONLY != 0,
	}, nil
}
