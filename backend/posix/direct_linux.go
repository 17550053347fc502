package posix

import (
	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// A kernel keeps pages of a FUSE file system for as long as it likes: GlusterFS, as it is mounted by default, shows what one machine wrote
// to a machine that had read the file before never (measured with 10.3 on Linux 6.18, for descriptors old and new). So the bytes of such a
// volume go past the page cache, and attributes are asked for whatever the mount says about their age; unless the volume was promised to be
// exclusive, when nobody else writes.

// noPages makes reads and writes of a descriptor go past the page cache. FUSE does not care how buffers and offsets are aligned.
func noPages(fd int) {
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_DIRECT)
	}
}

// direct is an object without the powers that need a page cache.
type direct struct {
	backend.Object
	backend.Puncher
	backend.DataFinder
}

var _ backend.Puncher = direct{}

// fstat is what the file system says of a descriptor now.
func (s *Store) fstat(fd int, st *unix.Stat_t) unix.Errno {
	if !s.direct {
		return fstat(fd, st)
	}
	var sx unix.Statx_t
	if e := statx(fd, new(byte), unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, &sx); e != 0 {
		return e
	}
	*st = unix.Stat_t{
		Dev: unix.Mkdev(sx.Dev_major, sx.Dev_minor), Ino: sx.Ino, Mode: uint32(sx.Mode), Uid: sx.Uid, Gid: sx.Gid,
		Rdev: unix.Mkdev(sx.Rdev_major, sx.Rdev_minor), Size: int64(sx.Size), Blocks: int64(sx.Blocks),
		Atim: statxTime(sx.Atime), Mtim: statxTime(sx.Mtime), Ctim: statxTime(sx.Ctime),
	}
	setLinks(st, sx.Nlink)
	return 0
}

func statxTime(t unix.StatxTimestamp) unix.Timespec {
	return unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)}
}

// pageless makes an adopted descriptor of a regular file go past the page cache where that is needed.
func (s *Store) pageless(n *node) {
	n.direct = s.direct && n.typ == causeway.TypeRegular
	if n.direct && n.access.Load() != fdPath {
		noPages(n.fd)
	}
}
