package posix

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
)

// The first byte of an ObjectID.
const (
	kindHandle = 1 // then handle type (1), length (1), the handle's bytes
	kindIndex  = 2 // then inode number (8), birth time (8), little endian
)

// maxHandle is what fits into an ObjectID.
const maxHandle = causeway.ObjectIDSize - 3

// fileHandle is struct file_handle of the kernel.
type fileHandle struct {
	size uint32
	kind int32
	data [128]byte
}

// handles names objects by the kernel's file handles.
type handles struct{ mount *mount }

// handleOf asks for the handle of an open descriptor.
func handleOf(fd int, h *fileHandle) unix.Errno {
	empty := byte(0)
	return handleAt(fd, &empty, h, unix.AT_EMPTY_PATH)
}

// handleAt asks for the handle of a name in a directory. It follows no symbolic link.
func handleAt(dir int, name *byte, h *fileHandle, flags uintptr) unix.Errno {
	h.size = uint32(len(h.data))
	var mountID int32
	for {
		_, _, e := unix.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(dir), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(h)),
			uintptr(unsafe.Pointer(&mountID)), flags, 0)
		if e != unix.EINTR {
			return e
		}
	}
}

// ino returns the inode number that a handle of a file system holds, as far as that is known (linux/exportfs.h, and each file
// system's export.c).
func (h *fileHandle) ino(magic int64) (uint64, bool) {
	word := func(i int) uint64 { return uint64(binary.NativeEndian.Uint32(h.data[4*i:])) }
	switch {
	case magic == unix.EXT4_SUPER_MAGIC && h.kind == 0x01 && h.size == 8, magic == unix.F2FS_SUPER_MAGIC && h.kind == 0x01 && h.size == 8,
		magic == unix.XFS_SUPER_MAGIC && h.kind == 0x01 && h.size == 8:
		return word(0), true
	case magic == unix.XFS_SUPER_MAGIC && h.kind == 0x81 && h.size == 12, magic == magicBtrfs && h.kind == 0x4d && h.size == 20:
		return binary.NativeEndian.Uint64(h.data[:]), true
	case magic == magicTmpfs && h.kind == 0x01 && h.size == 12:
		return word(1) | word(2)<<32, true
	}
	return 0, false
}

// openHandle opens what a handle names, in the mount of fd, as O_PATH. While the inode number is being given to a new object
// the kernel says ENOMEM (iget_locked knows no other way to fail), so that is waited for.
func openHandle(fd int, h *fileHandle) (int, unix.Errno) {
	for try := 0; ; try++ {
		n, _, e := unix.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(fd), uintptr(unsafe.Pointer(h)), unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW)
		switch {
		case e == unix.EINTR:
		case e == unix.ENOMEM && try < 50:
			if try > 4 {
				time.Sleep(time.Millisecond)
			}
		default:
			return int(n), e
		}
	}
}

// handlesWork says why the objects of a tree cannot be named by file handles, nil if they can.
func handlesWork(root int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(root, &fs); err != nil {
		return err
	}
	if fs.Type == magicFUSE {
		return errors.New("handles of a FUSE file system mean nothing outside its client process")
	}
	var h fileHandle
	if e := handleOf(root, &h); e != 0 {
		return fmt.Errorf("name_to_handle_at: %w", e)
	}
	if h.size > maxHandle || h.kind < 0 || h.kind > 0xff {
		return fmt.Errorf("handles of %d bytes, type %d do not fit", h.size, h.kind)
	}
	fd, e := openHandle(root, &h)
	if e == unix.EPERM {
		return fmt.Errorf("open_by_handle_at: %w (the process needs CAP_DAC_READ_SEARCH)", e)
	}
	if e != 0 {
		return fmt.Errorf("open_by_handle_at: %w", e)
	}
	unix.Close(fd)
	return nil
}

func (hs *handles) byHandle() bool { return true }

func (hs *handles) compose(_ uint64, _ causeway.Time, h fileHandle) (id causeway.ObjectID, e unix.Errno) {
	if h.size > maxHandle || h.kind < 0 || h.kind > 0xff {
		return id, unix.EOPNOTSUPP
	}
	id[0], id[1], id[2] = kindHandle, byte(h.kind), byte(h.size)
	copy(id[3:], h.data[:h.size])
	return id, 0
}

func (hs *handles) inoOf(id causeway.ObjectID) (uint64, bool) {
	if id[0] != kindHandle || id[2] > maxHandle {
		return 0, false
	}
	h := handleIn(&id)
	return h.ino(hs.mount.magic)
}

// handleIn returns the handle that an id holds.
func handleIn(id *causeway.ObjectID) fileHandle {
	h := fileHandle{size: uint32(id[2]), kind: int32(id[1])}
	copy(h.data[:], id[3:3+h.size])
	return h
}

func (hs *handles) open(_ context.Context, id causeway.ObjectID) (int, error) {
	if id[0] != kindHandle || id[2] > maxHandle {
		return -1, causeway.ErrBadHandle
	}
	h := handleIn(&id)
	fd, e := openHandle(hs.mount.fd, &h)
	switch e {
	case 0:
		return fd, nil
	case unix.ESTALE, unix.ENOENT, unix.EINVAL:
		return -1, causeway.ErrStale
	}
	return -1, fail("open by handle", e)
}

func (hs *handles) learn(uint64, *node, string)                {}
func (hs *handles) moved(uint64, *node, string, *node, string) {}
func (hs *handles) deleted(*node)                              {}
func (hs *handles) close() error                               { return nil }

// hash is FNV-1a of 64 bits.
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// idOf names the object of an open descriptor.
func idOf(way identity, fd int, ino uint64, btime causeway.Time) (id causeway.ObjectID, e unix.Errno) {
	var h fileHandle
	if way.byHandle() {
		if e = handleOf(fd, &h); e != 0 {
			return id, e
		}
	}
	return way.compose(ino, btime, h)
}

// openIdentity opens the volume's way of naming objects, and finds out whether objects can be recognized without being opened.
func (s *Store) openIdentity() error {
	if s.marker.Identity == IdentityHandle {
		s.identity = &handles{mount: &s.mount}
	} else if err := s.openIndex(); err != nil {
		return err
	}
	s.births = bornHere(s.mount.fd)
	s.byName = s.births
	var h fileHandle
	if s.byName && s.identity.byHandle() {
		ino, ok := uint64(0), handleOf(s.mount.fd, &h) == 0
		if ok {
			ino, ok = h.ino(s.mount.magic)
		}
		s.byName = ok && ino == s.mount.ino
	}
	return nil
}
