package posix

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"causeway"
)

// The wrappers of golang.org/x/sys/unix allocate a copy of each name; the data path must not allocate, so the system calls
// that take names are made here with a buffer on the stack. They retry EINTR, and return an errno, 0 for none.

// cname is a name component as the kernel wants it: with a NUL at its end.
type cname [causeway.MaxName + 1]byte

// set fills c. Callers are trusted with valid names, but one with a slash would lead out of the tree, so that is checked.
func (c *cname) set(name string) causeway.Code {
	if code := causeway.CheckName(name); code != causeway.OK {
		return code
	}
	copy(c[:], name)
	c[len(name)] = 0
	return causeway.OK
}

// setNew is set for an entry that is made, removed or renamed.
func (c *cname) setNew(name string) causeway.Code {
	if name == "." || name == ".." {
		return causeway.ErrBadName
	}
	return c.set(name)
}

func fstat(fd int, st *unix.Stat_t) unix.Errno {
	for {
		_, _, e := unix.Syscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
		if e != unix.EINTR {
			return e
		}
	}
}

// fstatat never follows a symbolic link and never mounts.
func fstatat(dir int, name *cname, st *unix.Stat_t) unix.Errno {
	for {
		_, _, e := unix.Syscall6(sysFstatat, uintptr(dir), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(st)),
			unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, 0)
		if e != unix.EINTR {
			return e
		}
	}
}

// statx asks for everything, never follows a symbolic link and never mounts.
func statx(dir int, name *byte, flags uintptr, sx *unix.Statx_t) unix.Errno {
	for {
		_, _, e := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(name)), flags|unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT,
			unix.STATX_BASIC_STATS|unix.STATX_BTIME, uintptr(unsafe.Pointer(sx)), 0)
		if e != unix.EINTR {
			return e
		}
	}
}

// statxFD is statx of an open descriptor.
func statxFD(fd int, sx *unix.Statx_t) unix.Errno {
	empty := byte(0)
	return statx(fd, &empty, unix.AT_EMPTY_PATH, sx)
}

// openat adds O_CLOEXEC and O_NOFOLLOW.
func openat(dir int, name *cname, flags int, mode uint32) (int, unix.Errno) {
	for {
		fd, _, e := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(name)),
			uintptr(flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_LARGEFILE), uintptr(mode), 0, 0)
		if e != unix.EINTR {
			return int(fd), e
		}
	}
}

// openat2 adds O_CLOEXEC and O_NOFOLLOW, and crosses nothing but what resolve lets it.
func openat2(dir int, name *cname, flags int, mode uint32, resolve uint64) (int, unix.Errno) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW), Mode: uint64(mode), Resolve: resolve}
	if flags&unix.O_PATH == 0 {
		how.Flags |= unix.O_LARGEFILE
	}
	for {
		fd, _, e := unix.Syscall6(unix.SYS_OPENAT2, uintptr(dir), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&how)),
			unsafe.Sizeof(how), 0, 0)
		if e != unix.EINTR && e != unix.EAGAIN {
			return int(fd), e
		}
	}
}

// at makes one of the system calls (dir, name, a, b) that change a directory.
func at(call uintptr, dir int, name *cname, a, b uintptr) unix.Errno {
	for {
		_, _, e := unix.Syscall6(call, uintptr(dir), uintptr(unsafe.Pointer(name)), a, b, 0, 0)
		if e != unix.EINTR {
			return e
		}
	}
}

func renameat2(from int, name *cname, to int, newName *cname) unix.Errno {
	for {
		_, _, e := unix.Syscall6(unix.SYS_RENAMEAT2, uintptr(from), uintptr(unsafe.Pointer(name)), uintptr(to),
			uintptr(unsafe.Pointer(newName)), 0, 0)
		if e != unix.EINTR {
			return e
		}
	}
}

func linkat(from int, path *byte, to int, newName *cname, flags int) unix.Errno {
	for {
		_, _, e := unix.Syscall6(unix.SYS_LINKAT, uintptr(from), uintptr(unsafe.Pointer(path)), uintptr(to),
			uintptr(unsafe.Pointer(newName)), uintptr(flags), 0)
		if e != unix.EINTR {
			return e
		}
	}
}

func getdents(fd int, buf []byte) (int, unix.Errno) {
	for {
		n, _, e := unix.Syscall(unix.SYS_GETDENTS64, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

func pread(fd int, p []byte, off int64) (int, unix.Errno) {
	for {
		n, _, e := unix.Syscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(off), 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

func pwrite(fd int, p []byte, off int64) (int, unix.Errno) {
	for {
		n, _, e := unix.Syscall6(unix.SYS_PWRITE64, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(off), 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// preadNoWait fails with EAGAIN rather than wait for a disk.
func preadNoWait(fd int, p []byte, off int64) (int, unix.Errno) {
	iov := unix.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	for {
		n, _, e := unix.Syscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, uintptr(off), 0, unix.RWF_NOWAIT)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// errnoOf unwraps what golang.org/x/sys/unix returns.
func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(unix.Errno); ok {
		return e
	}
	return unix.EIO
}

// retry calls f until it is not interrupted.
func retry(f func() error) unix.Errno {
	for {
		if e := errnoOf(f()); e != unix.EINTR {
			return e
		}
	}
}

// procPath is the magic link of a descriptor: opening it opens the object anew, whatever its name is now.
type procPath [32]byte

func (p *procPath) set(fd int) *procPath {
	b := append(p[:0], "/proc/self/fd/"...)
	digits := [12]byte{}
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + fd%10)
		if fd /= 10; fd == 0 {
			break
		}
	}
	b = append(b, digits[i:]...)
	p[len(b)] = 0
	return p
}

// reopen opens the object of a descriptor anew with other flags.
func reopen(fd, flags int) (int, unix.Errno) {
	var p procPath
	p.set(fd)
	for {
		n, _, e := unix.Syscall6(unix.SYS_OPENAT, ^uintptr(99), uintptr(unsafe.Pointer(&p)), uintptr(flags|unix.O_CLOEXEC|unix.O_LARGEFILE), 0, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// String returns the path.
func (p *procPath) String() string { return unix.ByteSliceToString(p[:]) }
