package rpc

import (
	"net"

	"golang.org/x/sys/unix"
)

// newPort puts a connection on the transport that the configuration asks for. A TCP connection's descriptor moves to an event
// loop; nc is closed then.
func (s *Server) newPort(c *conn, nc net.Conn) port {
	t, ok := nc.(*net.TCPConn)
	if !ok || s.cfg.Transport == Netpoll {
		return newNetPort(c, nc)
	}
	l, err := s.pickLoop()
	if err != nil {
		s.cfg.Logger.Warn("no event loop", "err", err)
		return newNetPort(c, nc)
	}
	fd, err := takeFD(t)
	if err != nil {
		s.cfg.Logger.Warn("cannot take a connection's descriptor", "err", err)
		return newNetPort(c, nc)
	}
	t.Close()
	return &epollPort{conn: c, loop: l, fd: fd}
}

// takeFD duplicates a connection's descriptor; both are non-blocking.
func takeFD(t *net.TCPConn) (fd int, err error) {
	raw, err := t.SyscallConn()
	if err != nil {
		return -1, err
	}
	if e := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return -1, e
	}
	return fd, err
}
