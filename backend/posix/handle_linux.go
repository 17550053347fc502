package posix

import (
	"context"
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
	h.size = uint32(len(h.data))
	var mountID int32
	empty := byte(0)
	for {
		_, _, e := unix.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(fd), uintptr(unsafe.Pointer(&empty)), uintptr(unsafe.Pointer(h)),
			uintptr(unsafe.Pointer(&mountID)), unix.AT_EMPTY_PATH, 0)
		if e != unix.EINTR {
			return e
		}
	}
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

func (hs *handles) idOf(fd int, _ uint64, _ causeway.Time) (id causeway.ObjectID, e unix.Errno) {
	var h fileHandle
	if e = handleOf(fd, &h); e != 0 {
		return id, e
	}
	if h.size > maxHandle || h.kind < 0 || h.kind > 0xff {
		return id, unix.EOPNOTSUPP
	}
	id[0], id[1], id[2] = kindHandle, byte(h.kind), byte(h.size)
	copy(id[3:], h.data[:h.size])
	return id, 0
}

func (hs *handles) open(_ context.Context, id causeway.ObjectID) (int, error) {
	if id[0] != kindHandle || id[2] > maxHandle {
		return -1, causeway.ErrBadHandle
	}
	h := fileHandle{size: uint32(id[2]), kind: int32(id[1])}
	copy(h.data[:], id[3:3+h.size])
	fd, e := openHandle(hs.mount.fd, &h)
	switch e {
	case 0:
		return fd, nil
	case unix.ESTALE, unix.ENOENT, unix.EINVAL:
		return -1, causeway.ErrStale
	}
	return -1, fail("open by handle", e)
}

func (hs *handles) learn(_, _ *node, _ string)                 {}
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

// openIdentity opens the volume's way of naming objects.
func (s *Store) openIdentity() error {
	if s.marker.Identity == IdentityHandle {
		s.identity = &handles{mount: &s.mount}
		return nil
	}
	return s.openIndex()
}
