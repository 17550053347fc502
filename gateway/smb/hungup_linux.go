package smb

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// tcpEstablished is the state of a connection that both sides use (tcp(7), TCP_INFO).
const tcpEstablished = 1

// hungUp reports whether the other side has ended a connection, although that may not have been read yet.
func hungUp(c net.Conn) (yes bool) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	gone := raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO)
		yes = err == nil && info.State != tcpEstablished
	})
	return yes || gone != nil
}
