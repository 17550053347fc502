package client

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// taken reports whether the other machine has acknowledged all that was sent by a connection (tcp(7), SIOCOUTQ): it runs, whatever its processes do.
func taken(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	left := 1
	if err := raw.Control(func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			left = n
		}
	}); err != nil {
		return false
	}
	return left == 0
}
