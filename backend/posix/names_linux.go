package posix

import (
	"context"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
)

// cached returns the pinned node of a name if it is in the cache, else nil, and its inode number, 0 if there is none in this
// tree.
func (s *Store) cached(dir *node, c *cname) (*node, uint64, unix.Errno) {
	var st unix.Stat_t
	ticket := s.cache.ticket()
	if e := fstatat(dir.fd, c, &st); e != 0 || uint64(st.Dev) != s.dev && !s.mount.overlay {
		return nil, 0, e
	}
	return s.cache.getIno(st.Ino, ticket), st.Ino, 0
}

// lost gives back a node that lost a name: if it was the last one its descriptor must not keep the storage.
func (s *Store) lost(n *node) {
	if n == nil {
		return
	}
	var st unix.Stat_t
	if fstat(n.fd, &st) == 0 && st.Nlink == 0 {
		s.identity.deleted(n)
		s.cache.drop(n)
	}
	n.unpin()
}

// Remove implements backend.Tree.
func (s *Store) Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error {
	dn, c, err := s.entry(ctx, &parent, name)
	if err != nil {
		return err
	}
	defer dn.unpin()
	if s.hides(dn, name) {
		return causeway.ErrNoEnt
	}
	defer s.lockNames(dn, dn)()
	victim, ino, e := s.cached(dn, &c)
	if e == unix.ENOENT {
		return s.failIn(dn, "remove", e)
	}
	s.memory.begin(dn.ino, ino)
	s.memory.drop(dn, name)
	e = s.unlink(dn, &c, dir)
	s.memory.endGone(ino)
	s.memory.end(dn.ino)
	if e == 0 {
		dn.change.Add(1)
		s.identity.moved(ino, dn, name, nil, "")
		s.known.forget(ino, nil)
	}
	s.lost(victim)
	switch {
	case e == unix.EEXIST && dir:
		return causeway.ErrNotEmpty
	case e == unix.EPERM && !dir && victim != nil && victim.typ == causeway.TypeDirectory:
		return causeway.ErrIsDir // POSIX's errno for it
	case e != 0:
		return s.failIn(dn, "remove", e)
	}
	return nil
}

// unlink takes a name away: of a directory or of anything else.
func (s *Store) unlink(dn *node, c *cname, dir bool) unix.Errno {
	flags := uintptr(0)
	if dir {
		flags = unix.AT_REMOVEDIR
	}
	return at(unix.SYS_UNLINKAT, dn.fd, c, flags, 0)
}

// entry returns the pinned directory and the name of an entry that is to be changed.
func (s *Store) entry(ctx context.Context, dir *causeway.ObjectID, name string) (dn *node, c cname, err error) {
	if s.readOnly {
		return nil, c, causeway.ErrROFS
	}
	if code := c.setNew(name); code != causeway.OK {
		return nil, c, code
	}
	if dn, err = s.get(ctx, dir); err != nil {
		return nil, c, err
	}
	if dn.typ != causeway.TypeDirectory {
		dn.unpin()
		return nil, c, causeway.ErrNotDir
	}
	return dn, c, nil
}

// Rename implements backend.Tree.
func (s *Store) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	fn, c, err := s.entry(ctx, &from, name)
	if err != nil {
		return err
	}
	defer fn.unpin()
	tn, newC, err := s.entry(ctx, &to, newName)
	if err != nil {
		return err
	}
	defer tn.unpin()
	if s.hides(fn, name) {
		return causeway.ErrNoEnt
	}
	if s.hides(tn, newName) {
		return causeway.ErrAccess
	}
	defer s.lockNames(fn, tn)()
	moving, ino, _ := s.cached(fn, &c)
	victim, victimIno, _ := s.cached(tn, &newC)
	s.memory.begin(fn.ino, tn.ino, ino, victimIno)
	s.memory.drop(fn, name)
	s.memory.drop(tn, newName)
	e := renameat2(fn.fd, &c, tn.fd, &newC)
	s.memory.endGone(victimIno)
	s.memory.end(fn.ino, tn.ino, ino)
	if e == 0 {
		fn.change.Add(1)
		tn.change.Add(1)
		if ino != victimIno { // else both were links to one object, and nothing happened
			s.identity.moved(victimIno, tn, newName, nil, "")
			s.known.forget(victimIno, nil)
			s.identity.moved(ino, fn, name, tn, newName)
		}
	}
	s.lost(victim)
	if moving != nil {
		moving.unpin()
	}
	switch e {
	case 0:
		return nil
	case unix.EEXIST:
		return causeway.ErrNotEmpty
	case unix.ENOENT, unix.ESTALE:
		if err := s.failIn(fn, "rename", e); err == causeway.ErrStale {
			return err
		}
		return s.failIn(tn, "rename", e)
	}
	return fail("rename", e)
}

// lockNames takes the names of two directories, in an order that is the same for everybody. On an exclusive volume nobody
// else may change names there meanwhile: which objects lose their names must be known before it happens.
func (s *Store) lockNames(a, b *node) (unlock func()) {
	lock, free := (*sync.RWMutex).RLock, (*sync.RWMutex).RUnlock
	if s.memory != nil {
		lock, free = (*sync.RWMutex).Lock, (*sync.RWMutex).Unlock
	}
	if a.ino > b.ino {
		a, b = b, a
	}
	lock(&a.names)
	if a == b {
		return func() { free(&a.names) }
	}
	lock(&b.names)
	return func() {
		free(&b.names)
		free(&a.names)
	}
}

// Link implements backend.Tree.
func (s *Store) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	dn, c, err := s.entry(ctx, &dir, name)
	if err != nil {
		return err
	}
	defer dn.unpin()
	n, err := s.get(ctx, &id)
	if err != nil {
		return err
	}
	defer n.unpin()
	if n.typ == causeway.TypeDirectory {
		return causeway.ErrPerm
	}
	if s.hides(dn, name) {
		return causeway.ErrExist
	}
	e := s.addLink(n, dn, name, &c)
	if e == 0 {
		dn.change.Add(1)
		s.identity.learn(n.ino, dn, name)
		return nil
	}
	if e == unix.ENOENT {
		var attr causeway.Attr
		if err := s.attrs(n, &attr); err != nil {
			return err
		}
	}
	return s.failIn(dn, "link", e)
}

// addLink is linkNode with what has to be remembered of it.
func (s *Store) addLink(n, dn *node, name string, c *cname) unix.Errno {
	dn.names.RLock()
	defer dn.names.RUnlock()
	s.memory.begin(dn.ino, n.ino)
	defer s.memory.end(dn.ino, n.ino)
	s.memory.drop(dn, name)
	return s.linkNode(n, dn, c)
}

// linkNode links an open object: by its descriptor, which needs CAP_DAC_READ_SEARCH, or through its magic link.
func (s *Store) linkNode(n, dir *node, c *cname) unix.Errno {
	empty := byte(0)
	e := linkat(n.fd, &empty, dir.fd, c, unix.AT_EMPTY_PATH)
	if e != unix.ENOENT && e != unix.EPERM && e != unix.EACCES {
		return e
	}
	var p procPath
	p.set(n.fd)
	return linkat(unix.AT_FDCWD, (*byte)(unsafe.Pointer(&p)), dir.fd, c, unix.AT_SYMLINK_FOLLOW)
}
