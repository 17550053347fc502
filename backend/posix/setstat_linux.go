package posix

import (
	"context"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
)

// SetStat implements backend.Tree.
func (s *Store) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	if s.readOnly {
		return causeway.ErrROFS
	}
	n, err := s.get(ctx, &id)
	if err != nil {
		return err
	}
	defer n.unpin()
	s.memory.begin(n.ino)
	defer s.memory.end(n.ino)
	if set.Has(causeway.SetSize) {
		if err := s.truncate(n, set.Size); err != nil {
			return err
		}
	}
	return s.setNode(n, set)
}

func (s *Store) truncate(n *node, size uint64) error {
	switch {
	case n.typ == causeway.TypeDirectory:
		return causeway.ErrIsDir
	case n.typ != causeway.TypeRegular:
		return causeway.ErrInval
	case size > math.MaxInt64:
		return causeway.ErrFBig
	}
	if e := n.upgrade(fdWrite); e != 0 {
		return fail("truncate", e)
	}
	s.soil(n)
	defer s.soil(n)
	return fail("truncate", retry(func() error { return unix.Ftruncate(n.fd, int64(size)) }))
}

// setNode sets all but the size: owner, mode, ACLs, times.
func (s *Store) setNode(n *node, set *causeway.SetAttr) error {
	if set.Has(causeway.SetUID | causeway.SetGID) {
		if e := chown(n, set); e != 0 {
			return fail("chown", e)
		}
	}
	if set.Has(causeway.SetMode) && n.typ != causeway.TypeSymlink { // a link's mode means nothing: ignored
		if err := s.chmod(n, set.Mode&causeway.ModeAll); err != nil {
			return err
		}
	}
	if set.Has(causeway.SetACL) {
		if e := s.setACL(n, xattrAccess, set.ACL); e != 0 {
			return fail("set ACL", e)
		}
	}
	if set.Has(causeway.SetDefaultACL) {
		if n.typ != causeway.TypeDirectory {
			return causeway.ErrInval
		}
		if e := s.setACL(n, xattrDefault, set.DefaultACL); e != 0 {
			return fail("set default ACL", e)
		}
	}
	if set.Has(causeway.SetAtime | causeway.SetMtime | causeway.SetAtimeNow | causeway.SetMtimeNow) {
		return fail("set times", utimes(n, set))
	}
	return nil
}

func chown(n *node, set *causeway.SetAttr) unix.Errno {
	uid, gid := -1, -1
	if set.Has(causeway.SetUID) {
		uid = int(set.UID)
	}
	if set.Has(causeway.SetGID) {
		gid = int(set.GID)
	}
	return retry(func() error { return unix.Fchownat(n.fd, "", uid, gid, unix.AT_EMPTY_PATH) })
}

// chmod sets the mode. A set-group-id bit stays only for who is in the group: whether the caller may set it was decided
// above, so that is the thread for the moment.
func (s *Store) chmod(n *node, mode uint32) error {
	change := func() unix.Errno {
		empty := byte(0)
		for {
			_, _, e := unix.Syscall6(unix.SYS_FCHMODAT2, uintptr(n.fd), uintptr(unsafe.Pointer(&empty)), uintptr(mode), unix.AT_EMPTY_PATH, 0, 0)
			if e == unix.ENOSYS || e == unix.EPERM { // older than Linux 6.6, or a container's filter
				return retry(func() error { return unix.Chmod(new(procPath).set(n.fd).String(), mode) })
			}
			if e != unix.EINTR {
				return e
			}
		}
	}
	if mode&causeway.ModeSetGID == 0 || !s.owner.any {
		return fail("chmod", change())
	}
	var st unix.Stat_t
	if e := fstat(n.fd, &st); e != 0 {
		return fail("chmod", e)
	}
	return s.as(s.owner.uid, st.Gid, change)
}

func utimes(n *node, set *causeway.SetAttr) unix.Errno {
	omit := unix.Timespec{Nsec: unix.UTIME_OMIT}
	now := unix.Timespec{Nsec: unix.UTIME_NOW}
	times := [2]unix.Timespec{omit, omit}
	if set.Has(causeway.SetAtime) {
		times[0] = timespec(set.Atime)
	}
	if set.Has(causeway.SetAtimeNow) {
		times[0] = now
	}
	if set.Has(causeway.SetMtime) {
		times[1] = timespec(set.Mtime)
	}
	if set.Has(causeway.SetMtimeNow) {
		times[1] = now
	}
	empty := byte(0)
	for {
		_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(n.fd), uintptr(unsafe.Pointer(&empty)), uintptr(unsafe.Pointer(&times)), unix.AT_EMPTY_PATH, 0, 0)
		if e != unix.EINTR {
			return e
		}
	}
}

// timespec converts; a count of nanoseconds beyond a second is the largest one, for it must not be taken for a command.
func timespec(t causeway.Time) unix.Timespec {
	return unix.Timespec{Sec: t.Sec, Nsec: int64(min(t.Nsec, 999_999_999))}
}
