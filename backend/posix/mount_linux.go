package posix

import (
	"fmt"

	"golang.org/x/sys/unix"

	"causeway"
)

// mount is the tree that is served, as the kernel's path walk sees it.
//
// With CAP_SYS_ADMIN it is a private, detached mount of exactly this directory: other mounts do not exist in it, so none can
// be crossed, and ".." at its root, or in a directory that somebody moves out of it meanwhile, leads nowhere. Else each step
// is an openat2 that refuses to cross.
type mount struct {
	fd              int    // O_RDONLY of the root; 0: not open
	ino             uint64 // of the root
	magic           int64  // what statfs(2) calls the file system
	unique          bool   // inode numbers are never used again; kept, since a mount whose process has died cannot be asked
	cloned          bool
	overlay         bool // overlayfs: objects of one tree come from several devices
	memory          bool // tmpfs: reading never waits
	dirIno, fileIno bool // d_ino is st_ino, for directories and for others
}

// What statfs(2) calls file systems of which something is to be known.
const (
	magicFUSE    = 0x65735546
	magicOverlay = 0x794c7630
	magicTmpfs   = 0x01021994
	magicBtrfs   = 0x9123683e
)

// resolve is how a single name is opened where there is no private mount.
const resolve = unix.RESOLVE_NO_XDEV | unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

func openMount(dir string, private bool) (m mount, err error) {
	if m.fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return mount{}, fmt.Errorf("posix: %s: %w", dir, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(m.fd, &fs); err != nil {
		m.close()
		return m, fmt.Errorf("posix: %s: %w", dir, err)
	}
	m.magic = int64(fs.Type)
	m.unique = fs.Type == magicFUSE && neverReused(m.fd)
	m.overlay, m.memory = fs.Type == magicOverlay, fs.Type == magicTmpfs
	m.fileIno = fs.Type != magicOverlay && fs.Type != magicFUSE
	m.dirIno = m.fileIno && fs.Type != magicBtrfs // a subvolume's is not an inode number
	if !private {
		return m, nil
	}
	if fd, ok := cloneMount(m.fd); ok {
		unix.Close(m.fd)
		m.fd, m.cloned = fd, true
	}
	return m, nil
}

// trusts reports whether the inode numbers that a directory tells of entries of this type are those that stat tells.
func (m *mount) trusts(t causeway.FileType) bool {
	return t == causeway.TypeDirectory && m.dirIno || t != causeway.TypeDirectory && t != 0 && m.fileIno
}

// cloneMount makes the private mount. It must not be in the peer group of the mount that it is a copy of, or later mounts
// would propagate into it.
func cloneMount(base int) (int, bool) {
	tree, err := unix.OpenTree(base, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, false
	}
	defer unix.Close(tree)
	private := unix.MountAttr{
		Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC, Propagation: unix.MS_PRIVATE,
	}
	if unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &private) != nil {
		return 0, false
	}
	private = unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSYMFOLLOW}
	_ = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &private) // since Linux 5.14; every open says O_NOFOLLOW anyway
	fd, e := openat(tree, &cname{'.'}, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	return fd, e == 0
}

func (m *mount) close() {
	if m.fd != 0 {
		unix.Close(m.fd)
		m.fd = 0
	}
}

// openEntry opens a name in a directory without leaving the tree. ".." is for openParent. If the type is told that was just
// seen, the descriptor is a real one where opening has no side effects: of a directory and, where no device can be opened in
// the tree by mistake, of a regular file.
func (m *mount) openEntry(dir int, name *cname, seen causeway.FileType) (fd int, access int32, e unix.Errno) {
	flags := unix.O_PATH
	switch {
	case seen == causeway.TypeDirectory:
		flags = unix.O_RDONLY | unix.O_DIRECTORY
	case seen == causeway.TypeRegular && m.cloned:
		flags = unix.O_RDONLY | unix.O_NONBLOCK
	}
	if flags != unix.O_PATH {
		if fd, e = m.open(dir, name, flags); e == 0 {
			return fd, fdRead, 0
		}
	}
	fd, e = m.open(dir, name, unix.O_PATH)
	return fd, fdPath, e
}

func (m *mount) open(dir int, name *cname, flags int) (int, unix.Errno) {
	if m.cloned {
		return openat(dir, name, flags, 0)
	}
	return openat2(dir, name, flags, 0, resolve)
}

var dotdot = cname{'.', '.'}

// maxDepth bounds the walk from a directory to the root.
const maxDepth = 4096

// openParent opens ".." of a directory that is not the root; ESTALE if the directory is not in the tree any more.
func (m *mount) openParent(dir int) (int, unix.Errno) {
	fd, e := openat(dir, &dotdot, unix.O_PATH|unix.O_DIRECTORY, 0)
	if e == unix.ENOENT {
		e = unix.ESTALE
	}
	if e != 0 || m.cloned {
		return fd, e
	}
	if e := m.inside(fd); e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// inside walks up from a directory until it meets the root; ESTALE if it does not.
func (m *mount) inside(dir int) unix.Errno {
	var st unix.Stat_t
	if e := fstat(m.fd, &st); e != 0 {
		return e
	}
	dev := st.Dev
	at := dir
	defer func() {
		if at != dir {
			unix.Close(at)
		}
	}()
	for range maxDepth {
		last := st.Ino
		if e := fstat(at, &st); e != 0 {
			return e
		}
		if st.Dev != dev || at != dir && st.Ino == last {
			return unix.ESTALE
		}
		if st.Ino == m.ino {
			return 0
		}
		up, e := openat(at, &dotdot, unix.O_PATH|unix.O_DIRECTORY, 0)
		if e != 0 {
			return e
		}
		if at != dir {
			unix.Close(at)
		}
		at = up
	}
	return unix.ESTALE
}
