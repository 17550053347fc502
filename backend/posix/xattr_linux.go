package posix

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
)

// xattrName is the name of an extended attribute as the kernel wants it: with a NUL at its end.
type xattrName [32]byte

func newXattrName(s string) *xattrName {
	n := new(xattrName)
	copy(n[:len(n)-1], s)
	return n
}

// String returns the name.
func (x *xattrName) String() string { return unix.ByteSliceToString(x[:]) }

var (
	xattrAccess  = newXattrName("system.posix_acl_access")
	xattrDefault = newXattrName("system.posix_acl_default")
)

// getxattr reads an extended attribute of a node: by its descriptor if that is a real one. One that is only a path is read
// through its magic link, which costs ten times as much (getxattrat(2) refuses such descriptors too).
func getxattr(n *node, name *xattrName, buf []byte) (int, unix.Errno) {
	if n.typ == causeway.TypeDirectory {
		_ = n.upgrade(fdRead) // cheap for a directory
	}
	if n.access.Load() != fdPath {
		return fgetxattr(n.fd, name, buf)
	}
	var p procPath
	p.set(n.fd)
	for {
		size, _, e := unix.Syscall6(unix.SYS_GETXATTR, uintptr(unsafe.Pointer(&p)), uintptr(unsafe.Pointer(name)),
			uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
		if e != unix.EINTR {
			return int(size), e
		}
	}
}

func fgetxattr(fd int, name *xattrName, buf []byte) (int, unix.Errno) {
	for {
		size, _, e := unix.Syscall6(unix.SYS_FGETXATTR, uintptr(fd), uintptr(unsafe.Pointer(name)),
			uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
		if e != unix.EINTR {
			return int(size), e
		}
	}
}
