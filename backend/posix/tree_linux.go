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
		return nil, err
	}
	n, err := s.adopt(fd, fdPath, nil)
	if err != nil {
		return nil, err
	}
	if n.id != *id {
		n.unpin()
		return nil, causeway.ErrStale
	}
	return n, nil
}

// adopt makes a pinned node of an open descriptor, which is the node's from then on, or closed. st is filled if not nil.
func (s *Store) adopt(fd int, access int32, st *unix.Stat_t) (*node, error) {
	var own unix.Stat_t
	if st == nil {
		st = &own
	}
	n := &node{fd: fd, btime: birth(fd)}
	e := fstat(fd, st)
	if e == 0 && st.Nlink == 0 {
		e = unix.ESTALE
	}
	if e == 0 && uint64(st.Dev) != s.dev && !s.mount.overlay {
		e = unix.EACCES // a subvolume: its inode numbers are not unique here
	}
	if e == 0 {
		n.id, e = s.identity.idOf(fd, st.Ino, n.btime)
	}
	if e != 0 {
		unix.Close(fd)
		return nil, fail("identify", e)
	}
	n.ino, n.typ = st.Ino, typeOf(st.Mode)
	n.refs.Store(1)
	n.access.Store(access)
	s.makeRoom()
	return s.cache.put(n), nil
}

// find returns the pinned node of a name in a directory, and fills st with its attributes of now. If the inode number is
// known it costs one system call and opens nothing.
func (s *Store) find(dir *node, name string, st *unix.Stat_t) (*node, error) {
	if dir.typ != causeway.TypeDirectory {
		return nil, causeway.ErrNotDir
	}
	if name == "." || name == ".." {
		return s.findDots(dir, name, st)
	}
	var c cname
	if code := c.set(name); code != causeway.OK {
		return nil, code
	}
	if s.hides(dir, name) {
		return nil, causeway.ErrNoEnt
	}
	ticket := s.cache.ticket()
	if e := fstatat(dir.fd, &c, st); e != 0 {
		return nil, s.failIn(dir, "lookup", e)
	}
	if uint64(st.Dev) == s.dev || s.mount.overlay {
		if n := s.cache.getIno(st.Ino, ticket); n != nil {
			s.cache.hits.Add(1)
			return n, nil
		}
	}
	return s.findSlow(dir, &c, name, st)
}

func (s *Store) findSlow(dir *node, c *cname, name string, st *unix.Stat_t) (*node, error) {
	s.cache.misses.Add(1)
	n, e, err := s.openNamed(dir, c, typeOf(st.Mode), st)
	if e == unix.EXDEV {
		return nil, causeway.ErrAccess // a mount
	}
	if e != 0 {
		return nil, s.failIn(dir, "lookup", e)
	}
	if err != nil {
		if err == causeway.ErrStale {
			err = causeway.ErrNoEnt // removed after it was opened
		}
		return nil, err
	}
	s.identity.learn(n, dir, name)
	return n, nil
}

// openNamed returns the pinned node of a name in a directory: an errno of opening it, or an error of what was opened.
func (s *Store) openNamed(dir *node, c *cname, seen causeway.FileType, st *unix.Stat_t) (*node, unix.Errno, error) {
	var access int32
	fd, e := s.roomy(func() (fd int, e unix.Errno) {
		fd, access, e = s.mount.openEntry(dir.fd, c, seen)
		return fd, e
	})
	if e != 0 {
		return nil, e, nil
	}
	if seen != causeway.TypeRegular || access == fdPath {
		n, err := s.adopt(fd, access, st)
		return n, 0, err
	}
	if e = fstat(fd, st); e == 0 && typeOf(st.Mode) != seen { // exchanged meanwhile: it must not stay open for real
		unix.Close(fd)
		return s.openNamed(dir, c, 0, st)
	}
	n, err := s.adopt(fd, access, st)
	return n, 0, err
}

// findDots finds "." and "..", the root's being the root.
func (s *Store) findDots(dir *node, name string, st *unix.Stat_t) (*node, error) {
	if name == "." || dir == s.root {
		if e := fstat(dir.fd, st); e != 0 {
			return nil, fail("lookup", e)
		}
		dir.pin()
		return dir, nil
	}
	if s.mount.cloned {
		dotdot := cname{'.', '.'}
		ticket := s.cache.ticket()
		if e := fstatat(dir.fd, &dotdot, st); e == 0 {
			if n := s.cache.getIno(st.Ino, ticket); n != nil {
				return n, nil
			}
		}
	}
	fd, e := s.roomy(func() (int, unix.Errno) { return s.mount.openParent(dir.fd) })
	if e != 0 {
		return nil, fail("lookup", e)
	}
	return s.adopt(fd, fdPath, st)
}

// hides reports whether a name is the store's own.
func (s *Store) hides(dir *node, name string) bool { return name == markerDir && dir == s.root }

// failIn is fail for an operation in a directory: what is not found in a directory that is gone is stale.
func (s *Store) failIn(dir *node, op string, e unix.Errno) error {
	if e == unix.ENOENT {
		var st unix.Stat_t
		if fstat(dir.fd, &st) == 0 && st.Nlink == 0 {
			s.cache.drop(dir)
			return causeway.ErrStale
		}
	}
	return fail(op, e)
}

// Lookup implements backend.Tree. In the steady state it is one system call.
func (s *Store) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error) {
	var attr causeway.Attr
	dn, err := s.get(ctx, &dir)
	if err != nil {
		return causeway.ObjectID{}, attr, err
	}
	var st unix.Stat_t
	n, err := s.find(dn, name, &st)
	dn.unpin()
	if err != nil {
		return causeway.ObjectID{}, attr, err
	}
	id := n.id
	err = s.attrsFrom(n, &st, &attr)
	n.unpin()
	if err != nil {
		return causeway.ObjectID{}, causeway.Attr{}, causeway.ErrNoEnt // the name was removed meanwhile
	}
	return id, attr, nil
}

// Stat implements backend.Tree: one fstat.
func (s *Store) Stat(ctx context.Context, id causeway.ObjectID) (attr causeway.Attr, err error) {
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
