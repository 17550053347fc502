package posix

import (
	"golang.org/x/sys/unix"

	"causeway"
)

// identify says what a directory has under a name and how it is now. If the object is known, by its descriptor or in the
// table, that is one system call, and nothing is opened.
func (s *Store) identify(dir *node, name string, id *causeway.ObjectID, attr *causeway.Attr) error {
	if dir.typ != causeway.TypeDirectory {
		return causeway.ErrNotDir
	}
	if name == "." || name == ".." {
		return s.identifyDots(dir, name, id, attr)
	}
	var c cname
	if code := c.set(name); code != causeway.OK {
		return code
	}
	if s.hides(dir, name) {
		return causeway.ErrNoEnt
	}
	t := s.memory.now()
	err := s.identifyEntry(dir, &c[0], name, id, attr)
	switch err {
	case nil:
		s.memory.publishName(t, dir, name, attr.FileID, id)
	case causeway.ErrNoEnt:
		s.memory.publishName(t, dir, name, 0, nil)
	}
	return err
}

// identifyEntry is identify of a valid name, which c holds with a NUL at its end.
func (s *Store) identifyEntry(dir *node, c *byte, name string, id *causeway.ObjectID, attr *causeway.Attr) error {
	var sx unix.Statx_t
	t, ticket := s.memory.now(), s.cache.ticket()
	if e := steady(func() unix.Errno { return statx(dir.fd, c, 0, &sx) }); e != 0 {
		return s.failIn(dir, "lookup", e)
	}
	if s.inTree(&sx) {
		if s.recognize(ticket, &sx, id) || s.recognizeByName(dir, c, name, &sx, id) {
			s.cache.hits.Add(1)
			s.fillStatx(&sx, attr)
			s.memory.publish(t, id, attr)
			return nil
		}
	}
	s.cache.misses.Add(1)
	err := s.identifyOpen(dir, name, &sx, id, attr)
	if err == nil {
		s.memory.publish(t, id, attr)
	}
	return err
}

// inTree reports whether an object lies on the file system that is served.
func (s *Store) inTree(sx *unix.Statx_t) bool {
	return s.mount.overlay || unix.Mkdev(sx.Dev_major, sx.Dev_minor) == s.dev
}

// recognize finds an object that the kernel told of after the ticket was taken.
func (s *Store) recognize(ticket uint64, sx *unix.Statx_t, id *causeway.ObjectID) (ok bool) {
	if s.births {
		if *id, ok = s.known.get(sx.Ino, btimeOf(sx)); ok {
			return true
		}
	}
	n := s.cache.getIno(sx.Ino, ticket)
	if n == nil {
		return false
	}
	*id = n.id
	n.unpin()
	return true
}

// recognizeByName asks for the file handle of a name, which is that of the object in sx if the number in the handle is the
// object's and the object has the name still: a settled birth excludes that the number went to another object meanwhile. An id
// that is made of number and birth alone needs no such care. What is found is known from then on.
func (s *Store) recognizeByName(dir *node, c *byte, name string, sx *unix.Statx_t, id *causeway.ObjectID) bool {
	btime := btimeOf(sx)
	var h fileHandle
	if !s.byName {
		return false
	}
	if s.identity.byHandle() {
		if !settled(btime, s.now()) { // before it is seen for the second time
			return false
		}
		if handleAt(dir.fd, c, &h, 0) != 0 {
			return false
		}
		if ino, ok := h.ino(s.mount.magic); !ok || ino != sx.Ino {
			return false
		}
		var again unix.Statx_t
		if statx(dir.fd, c, 0, &again) != 0 || again.Ino != sx.Ino || btimeOf(&again) != btime || !s.inTree(&again) {
			return false
		}
		*sx = again
	}
	var e unix.Errno
	if *id, e = s.identity.compose(sx.Ino, btime, h); e != 0 {
		return false
	}
	s.identity.learn(sx.Ino, dir, name)
	s.known.put(sx.Ino, btime, *id)
	return true
}

// identifyOpen opens the object and identifies it by its descriptor.
func (s *Store) identifyOpen(dir *node, name string, sx *unix.Statx_t, id *causeway.ObjectID, attr *causeway.Attr) error {
	var c cname
	if code := c.set(name); code != causeway.OK {
		return code
	}
	n, e, err := s.openNamed(dir, &c, typeOf(uint32(sx.Mode)), sx)
	if e == unix.EXDEV {
		return causeway.ErrAccess // a mount
	}
	if e != 0 {
		return s.failIn(dir, "lookup", e)
	}
	if err != nil {
		if err == causeway.ErrStale {
			err = causeway.ErrNoEnt // removed after it was opened
		}
		return err
	}
	s.identity.learn(n.ino, dir, name)
	*id = n.id
	s.fillStatx(sx, attr)
	n.unpin()
	return nil
}

// identifyDots identifies "." and "..", the root's being the root.
func (s *Store) identifyDots(dir *node, name string, id *causeway.ObjectID, attr *causeway.Attr) error {
	if name == "." || dir == s.root {
		*id = dir.id
		return s.attrs(dir, attr)
	}
	var sx unix.Statx_t
	if s.mount.cloned {
		ticket := s.cache.ticket()
		if statx(dir.fd, &dotdot[0], 0, &sx) == 0 && s.recognize(ticket, &sx, id) {
			s.fillStatx(&sx, attr)
			return nil
		}
	}
	fd, e := s.roomy(func() (int, unix.Errno) { return s.mount.openParent(dir.fd) })
	if e != 0 {
		return fail("lookup", e)
	}
	n, err := s.adopt(fd, fdPath, &sx)
	if err != nil {
		return err
	}
	*id = n.id
	s.fillStatx(&sx, attr)
	n.unpin()
	return nil
}
