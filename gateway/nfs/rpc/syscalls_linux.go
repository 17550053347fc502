package rpc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawBytes is up to how many bytes a system call that moves them is made without telling the scheduler: it is over before
// another thread would take the processor.
const rawBytes = 64 << 10

// rawEpollWait looks for events without waiting.
func rawEpollWait(epoll int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// rawRead reads from a non-blocking socket; p is not empty.
func rawRead(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// rawSend sends on a non-blocking socket; p is not empty.
func rawSend(fd int, p []byte, flags int) (int, error) {
	for {
		var n uintptr
		var errno unix.Errno
		if len(p) <= rawBytes {
			n, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0)
		} else {
			n, _, errno = unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0)
		}
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// sendFile moves a range of a file into a socket.
func sendFile(socket, fd int, off int64, n int) (int, error) {
	for {
		sent, err := unix.Sendfile(socket, fd, &off, n)
		if err != unix.EINTR {
			return max(sent, 0), err
		}
	}
}
