package posix

import (
	"golang.org/x/sys/unix"

	"causeway"
)

// typeOf maps st_mode's type.
func typeOf(mode uint32) causeway.FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return causeway.TypeRegular
	case unix.S_IFDIR:
		return causeway.TypeDirectory
	case unix.S_IFLNK:
		return causeway.TypeSymlink
	case unix.S_IFBLK:
		return causeway.TypeBlock
	case unix.S_IFCHR:
		return causeway.TypeChar
	case unix.S_IFIFO:
		return causeway.TypeFIFO
	case unix.S_IFSOCK:
		return causeway.TypeSocket
	}
	return 0
}

// formatOf is typeOf's inverse, for mknod.
func formatOf(t causeway.FileType) uint32 {
	switch t {
	case causeway.TypeBlock:
		return unix.S_IFBLK
	case causeway.TypeChar:
		return unix.S_IFCHR
	case causeway.TypeFIFO:
		return unix.S_IFIFO
	case causeway.TypeSocket:
		return unix.S_IFSOCK
	}
	return 0
}

// direntType maps d_type.
var direntType = [16]causeway.FileType{
	unix.DT_REG: causeway.TypeRegular, unix.DT_DIR: causeway.TypeDirectory, unix.DT_LNK: causeway.TypeSymlink, unix.DT_BLK: causeway.TypeBlock,
	unix.DT_CHR: causeway.TypeChar, unix.DT_FIFO: causeway.TypeFIFO, unix.DT_SOCK: causeway.TypeSocket,
}

// fill sets what fstat tells. The change attribute is made of ctime: two changes within one tick of the kernel's clock (4 ms
// or so, nanoseconds on kernels with multigrain times) look equal; the kernel's own cookie is not given to user space.
func fill(a *causeway.Attr, st *unix.Stat_t, n *node) {
	ctime := causeway.Time{Sec: int64(st.Ctim.Sec), Nsec: uint32(st.Ctim.Nsec)}
	*a = causeway.Attr{
		Type: typeOf(st.Mode), Mode: st.Mode & causeway.ModeAll, Nlink: uint32(st.Nlink), UID: st.Uid, GID: st.Gid,
		Size: uint64(st.Size), Used: uint64(st.Blocks) * 512, FileID: st.Ino,
		Atime: causeway.Time{Sec: int64(st.Atim.Sec), Nsec: uint32(st.Atim.Nsec)},
		Mtime: causeway.Time{Sec: int64(st.Mtim.Sec), Nsec: uint32(st.Mtim.Nsec)},
		Ctime: ctime, Btime: n.btime, Change: stamp(st),
	}
	if a.Type == causeway.TypeBlock || a.Type == causeway.TypeChar {
		a.Major, a.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
}

// stamp is ctime in one word: nanoseconds since 1970.
func stamp(st *unix.Stat_t) uint64 { return uint64(int64(st.Ctim.Sec)*1e9 + int64(st.Ctim.Nsec)) }

// birth asks for the time of birth; zero where the file system keeps none.
func birth(fd int) causeway.Time {
	var sx unix.Statx_t
	if statxFD(fd, &sx) != 0 {
		return causeway.Time{}
	}
	return btimeOf(&sx)
}

func btimeOf(sx *unix.Statx_t) causeway.Time {
	if sx.Mask&unix.STATX_BTIME == 0 {
		return causeway.Time{}
	}
	return timeOf(sx.Btime)
}

func timeOf(t unix.StatxTimestamp) causeway.Time { return causeway.Time{Sec: t.Sec, Nsec: t.Nsec} }

// fillStatx sets what statx tells, as fillAll does.
func (s *Store) fillStatx(sx *unix.Statx_t, a *causeway.Attr) {
	*a = causeway.Attr{
		Type: typeOf(uint32(sx.Mode)), Mode: uint32(sx.Mode) & causeway.ModeAll, Nlink: sx.Nlink, UID: sx.Uid, GID: sx.Gid,
		Size: sx.Size, Used: sx.Blocks * 512, FileID: sx.Ino, Atime: timeOf(sx.Atime), Mtime: timeOf(sx.Mtime), Ctime: timeOf(sx.Ctime),
		Btime: btimeOf(sx), Change: uint64(sx.Ctime.Sec*1e9 + int64(sx.Ctime.Nsec)),
	}
	if a.Type == causeway.TypeBlock || a.Type == causeway.TypeChar {
		a.Major, a.Minor = sx.Rdev_major, sx.Rdev_minor
	}
	s.correct(a)
}

// correct says what the file system does not know: that nobody sees the marker's directory, and whether there may be an ACL.
func (s *Store) correct(a *causeway.Attr) {
	if a.FileID == s.mount.ino && s.marked && a.Nlink > 2 {
		a.Nlink--
	}
	a.Extended = a.Type != causeway.TypeSymlink && !s.noACL.Load()
}

// attrs reads the attributes of a pinned node. An object without names is gone: ErrStale.
func (s *Store) attrs(n *node, a *causeway.Attr) error {
	if s.memory.attr(n.ino, &n.id, a) {
		return nil
	}
	t := s.memory.now()
	var st unix.Stat_t
	if e := s.fstat(n.fd, &st); e != 0 {
		return s.failNode(n, "stat", e)
	}
	if err := s.attrsFrom(n, &st, a); err != nil {
		return err
	}
	s.memory.publish(t, &n.id, a)
	return nil
}

// failNode is fail for an operation on an open object: one that another machine took away is stale, and not kept open.
func (s *Store) failNode(n *node, op string, e unix.Errno) error {
	if e == unix.ESTALE || e == unix.ENOENT {
		s.cache.drop(n)
		return causeway.ErrStale
	}
	return fail(op, e)
}

// attrsFrom is attrs with what fstat told.
func (s *Store) attrsFrom(n *node, st *unix.Stat_t, a *causeway.Attr) error {
	if st.Nlink == 0 {
		s.cache.drop(n)
		return causeway.ErrStale
	}
	s.fillAll(n, st, a)
	return nil
}

// fillAll sets the attributes from what fstat told.
func (s *Store) fillAll(n *node, st *unix.Stat_t, a *causeway.Attr) {
	fill(a, st, n)
	s.correct(a)
}
