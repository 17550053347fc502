package posix

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// Create implements backend.Tree.
func (s *Store) Create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (id causeway.ObjectID, attr causeway.Attr, err error) {
	dn, c, err := s.entry(ctx, &dir, name)
	if err != nil {
		return id, attr, err
	}
	defer dn.unpin()
	if s.hides(dn, name) {
		return id, attr, causeway.ErrExist
	}
	s.memory.begin(dn.ino)
	defer s.memory.end(dn.ino)
	s.memory.drop(dn, name)
	t := s.memory.now()
	var sx unix.Statx_t
	n, err := s.make(dn, &c, spec, &sx)
	if err != nil {
		return id, attr, err
	}
	defer n.unpin()
	dn.change.Add(1)
	s.identity.learn(n.ino, dn, name)
	if err := s.finish(n, dn, spec, &sx, &t); err != nil {
		s.unmake(n, dn, &c)
		return id, attr, err
	}
	s.fillStatx(&sx, &attr)
	s.memory.publish(t, &n.id, &attr)
	return n.id, attr, nil
}

// unmake takes a new object away that could not be finished, if it has its name still.
func (s *Store) unmake(n, dir *node, c *cname) {
	defer s.lockNames(dir, dir)()
	found, ino, _ := s.cached(dir, c)
	if found != nil {
		found.unpin()
	}
	if found != n {
		return
	}
	s.memory.begin(ino)
	s.unlink(dir, c, n.typ == causeway.TypeDirectory)
	s.memory.endGone(ino)
	s.known.forget(ino, nil)
	s.cache.drop(n)
}

// make makes the object under its owner and returns its pinned node, and how the kernel made it.
func (s *Store) make(dir *node, c *cname, spec *backend.CreateSpec, sx *unix.Statx_t) (*node, error) {
	if spec.Type == causeway.TypeRegular {
		fd := -1
		dir.names.RLock()
		err := s.as(spec.UID, spec.GID, func() (e unix.Errno) {
			fd, e = s.roomy(func() (int, unix.Errno) {
				return openat(dir.fd, c, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, spec.Mode&causeway.ModeAll)
			})
			return e
		})
		dir.names.RUnlock()
		if err != nil {
			return nil, s.staleIn(dir, err)
		}
		return s.adoptNew(fd, fdWrite, sx, true)
	}
	dir.names.Lock()
	defer dir.names.Unlock()
	if err := s.as(spec.UID, spec.GID, func() unix.Errno { return makeSpecial(dir, c, spec) }); err != nil {
		return nil, s.staleIn(dir, err)
	}
	n, e, err := s.openNamed(dir, c, spec.Type, sx)
	if e == unix.ENOENT {
		return nil, causeway.ErrStale
	}
	if e != 0 {
		return nil, fail("create", e)
	}
	if err == nil && n.typ != spec.Type {
		n.unpin()
		return nil, causeway.ErrStale // another program took it away and put something else there
	}
	return n, err
}

// staleIn turns "no such entry" into stale if the directory itself is gone.
func (s *Store) staleIn(dir *node, err error) error {
	switch err {
	case causeway.ErrNoEnt:
		return s.failIn(dir, "create", unix.ENOENT)
	case causeway.ErrStale:
		return s.failIn(dir, "create", unix.ESTALE)
	}
	return err
}

func makeSpecial(dir *node, c *cname, spec *backend.CreateSpec) unix.Errno {
	mode := spec.Mode & causeway.ModeAll
	switch spec.Type {
	case causeway.TypeDirectory:
		return at(unix.SYS_MKDIRAT, dir.fd, c, uintptr(mode), 0)
	case causeway.TypeSymlink:
		return symlinkat(spec.Target, dir.fd, c)
	case causeway.TypeBlock, causeway.TypeChar, causeway.TypeFIFO, causeway.TypeSocket:
		dev := uint64(0)
		if spec.Type == causeway.TypeBlock || spec.Type == causeway.TypeChar {
			dev = unix.Mkdev(spec.Major, spec.Minor)
		}
		return at(unix.SYS_MKNODAT, dir.fd, c, uintptr(formatOf(spec.Type)|mode), uintptr(dev))
	}
	return unix.EINVAL
}

func symlinkat(target string, dir int, c *cname) unix.Errno {
	if len(target) > causeway.MaxPath {
		return unix.ENAMETOOLONG
	}
	p, err := unix.BytePtrFromString(target)
	if err != nil {
		return unix.EINVAL
	}
	for {
		_, _, e := unix.Syscall(unix.SYS_SYMLINKAT, uintptr(unsafe.Pointer(p)), uintptr(dir), uintptr(unsafe.Pointer(c)))
		if e != unix.EINTR {
			return e
		}
	}
}

// finish corrects what the kernel made differently and sets the times. If it did anything it reads the attributes anew, at t.
func (s *Store) finish(n, dir *node, spec *backend.CreateSpec, sx *unix.Statx_t, t *uint64) error {
	set := causeway.SetAttr{Mode: spec.Mode & causeway.ModeAll, UID: spec.UID, GID: spec.GID}
	if sx.Uid != spec.UID || sx.Gid != spec.GID { // a setgid directory, a mount with grpid, or no setfsuid
		set.Mask |= causeway.SetUID | causeway.SetGID
	}
	if spec.Type != causeway.TypeSymlink && uint32(sx.Mode)&causeway.ModeAll != set.Mode && !hasDefaultACL(dir) {
		set.Mask |= causeway.SetMode // the kernel takes set-id bits of directories from the parent
	}
	if spec.Atime != nil {
		set.Mask, set.Atime = set.Mask|causeway.SetAtime, *spec.Atime
	}
	if spec.Mtime != nil {
		set.Mask, set.Mtime = set.Mask|causeway.SetMtime, *spec.Mtime
	}
	if set.Mask == 0 {
		return nil
	}
	s.memory.begin(n.ino)
	err := s.setNode(n, &set)
	s.memory.end(n.ino)
	if err != nil {
		return err
	}
	*t = s.memory.now()
	return fail("create", statxFD(n.fd, sx))
}

func hasDefaultACL(dir *node) bool {
	var buf [1]byte
	_, e := getxattr(dir, xattrDefault, buf[:])
	return e == 0 || e == unix.ERANGE
}
