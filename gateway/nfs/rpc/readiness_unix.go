//go:build unix

package rpc

import (
	"io"
	"syscall"
)

// readiness reads a connection through its descriptor, so that nothing but a parked goroutine waits for input: the buffer is taken
// when there is something to read.
type readiness struct {
	raw syscall.RawConn // nil: a connection without a descriptor
	try func(fd uintptr) bool
	n   int
	err error
}

func (r *readiness) init(p *netPort) {
	if s, ok := p.nc.(syscall.Conn); ok {
		r.raw, _ = s.SyscallConn()
	}
	c := p.conn
	r.try = func(fd uintptr) bool {
		room := c.room()
		if room == nil {
			r.n, r.err = 0, errNoRoom
			return true
		}
		for {
			r.n, r.err = syscall.Read(int(fd), room)
			if r.err != syscall.EINTR {
				break
			}
		}
		if r.err == syscall.EAGAIN {
			c.rest()
			return false
		}
		if r.n <= 0 {
			r.n = 0
			if r.err == nil {
				r.err = io.EOF
			}
		}
		return true
	}
}

func (r *readiness) read(p *netPort) (int, error) {
	if r.raw == nil {
		return p.readAny()
	}
	if err := r.raw.Read(r.try); err != nil {
		return 0, err
	}
	return r.n, r.err
}
