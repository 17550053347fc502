package posix

import (
	"context"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

var _ backend.Xattrs = (*Store)(nil)

// longName is the name of an extended attribute as the kernel wants it.
type longName [causeway.MaxXattrName + 1]byte

// onXattr makes a system call about an extended attribute of a node: by its descriptor where that is a real one, else by its
// magic link, which is never a symbolic link itself.
func onXattr(n *node, byPath, byFD uintptr, a, b, c, d uintptr) (int, unix.Errno) {
	if n.typ == causeway.TypeDirectory {
		_ = n.upgrade(fdRead) // cheap for a directory
	}
	for {
		var size uintptr
		var e unix.Errno
		if n.access.Load() != fdPath {
			size, _, e = unix.Syscall6(byFD, uintptr(n.fd), a, b, c, d, 0)
		} else {
			var p procPath
			p.set(n.fd)
			size, _, e = unix.Syscall6(byPath, uintptr(unsafe.Pointer(&p)), a, b, c, d, 0)
		}
		if e != unix.EINTR {
			return int(size), e
		}
	}
}

func failXattr(op string, e unix.Errno) error {
	switch e {
	case unix.ENODATA:
		return causeway.ErrNoEnt
	case unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS: // of what user attributes are not for
		return causeway.ErrNotSupp
	case unix.E2BIG, unix.ERANGE:
		return causeway.ErrNoSpc
	}
	return fail(op, e)
}

// xattrNode finds what has extended attributes.
func (s *Store) xattrNode(ctx context.Context, id *causeway.ObjectID) (*node, error) {
	n, err := s.get(ctx, id)
	if err == nil && n.typ != causeway.TypeRegular && n.typ != causeway.TypeDirectory {
		n.unpin()
		return nil, causeway.ErrNotSupp
	}
	return n, err
}

// Xattr implements backend.Xattrs.
func (s *Store) Xattr(ctx context.Context, id causeway.ObjectID, name string) ([]byte, error) {
	n, err := s.xattrNode(ctx, &id)
	if err != nil {
		return nil, err
	}
	defer n.unpin()
	var key longName
	copy(key[:len(key)-1], name)
	var small [256]byte
	for buf := small[:]; ; buf = make([]byte, causeway.MaxXattrValue) {
		size, e := onXattr(n, unix.SYS_GETXATTR, unix.SYS_FGETXATTR, uintptr(unsafe.Pointer(&key)), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0)
		switch {
		case e == 0:
			return append([]byte{}, buf[:size]...), nil
		case e != unix.ERANGE || len(buf) > len(small):
			return nil, failXattr("getxattr", e)
		}
	}
}

// ListXattrs implements backend.Xattrs.
func (s *Store) ListXattrs(ctx context.Context, id causeway.ObjectID) ([]string, error) {
	n, err := s.xattrNode(ctx, &id)
	if err != nil {
		return nil, err
	}
	defer n.unpin()
	buf := make([]byte, causeway.MaxXattrNames)
	size, e := onXattr(n, unix.SYS_LISTXATTR, unix.SYS_FLISTXATTR, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if e != 0 {
		return nil, failXattr("listxattr", e)
	}
	var names []string
	for name := range strings.SplitSeq(string(buf[:size]), "\x00") {
		if strings.HasPrefix(name, causeway.XattrUser) {
			names = append(names, name)
		}
	}
	return names, nil
}

// SetXattr implements backend.Xattrs.
func (s *Store) SetXattr(ctx context.Context, id causeway.ObjectID, name string, value []byte, how causeway.XattrHow) error {
	flags := [...]uintptr{causeway.XattrEither: 0, causeway.XattrCreate: unix.XATTR_CREATE, causeway.XattrReplace: unix.XATTR_REPLACE}[how]
	return s.changeXattr(ctx, id, func(n *node) unix.Errno {
		var key longName
		copy(key[:len(key)-1], name)
		at := unsafe.Pointer(&key) // of nothing, if there is nothing
		if len(value) > 0 {
			at = unsafe.Pointer(&value[0])
		}
		_, e := onXattr(n, unix.SYS_SETXATTR, unix.SYS_FSETXATTR, uintptr(unsafe.Pointer(&key)), uintptr(at), uintptr(len(value)), flags)
		return e
	})
}

// RemoveXattr implements backend.Xattrs.
func (s *Store) RemoveXattr(ctx context.Context, id causeway.ObjectID, name string) error {
	return s.changeXattr(ctx, id, func(n *node) unix.Errno {
		var key longName
		copy(key[:len(key)-1], name)
		_, e := onXattr(n, unix.SYS_REMOVEXATTR, unix.SYS_FREMOVEXATTR, uintptr(unsafe.Pointer(&key)), 0, 0, 0)
		return e
	})
}

func (s *Store) changeXattr(ctx context.Context, id causeway.ObjectID, do func(*node) unix.Errno) error {
	if s.readOnly {
		return causeway.ErrROFS
	}
	n, err := s.xattrNode(ctx, &id)
	if err != nil {
		return err
	}
	defer n.unpin()
	s.memory.begin(n.ino)
	defer s.memory.end(n.ino)
	s.soil(n)
	if e := do(n); e != 0 {
		return failXattr("change xattr", e)
	}
	return nil
}
