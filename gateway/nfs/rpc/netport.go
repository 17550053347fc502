package rpc

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// netPort is a connection on the runtime's poller: a goroutine reads it, and writes wait.
type netPort struct {
	conn  *conn
	nc    net.Conn
	woken signal
	first [markSize]byte
	ready readiness
}

func newNetPort(c *conn, nc net.Conn) *netPort {
	p := &netPort{conn: c, nc: nc, woken: newSignal()}
	p.ready.init(p)
	return p
}

func (p *netPort) start() {
	s := p.conn.srv
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		p.read()
	}()
}

func (p *netPort) read() {
	s := p.conn.srv
	for {
		w := s.getWorker()
		w.largeRun = 0
		next := w.visit(p.conn)
		s.putWorker(w)
		if next == turnIdle {
			p.conn.rest()
			if !p.fill() {
				next = turnEnd
			}
		}
		switch next {
		case turnStolen:
			return
		case turnPaused:
			<-p.woken
			if p.conn.stopping() {
				next = turnEnd
			}
		}
		if next == turnEnd {
			p.conn.endReading()
			return
		}
	}
}

// fill reads what has come, or waits for it; without a buffer where nothing is kept.
func (p *netPort) fill() bool {
	c := p.conn
	for !c.stopping() {
		n, err := p.ready.read(p)
		switch {
		case err == errNoRoom:
			<-p.woken
		case n > 0 || err != nil:
			c.frame.end += n
			return n > 0
		}
	}
	return false
}

// readAny reads from any net.Conn. Where it has to wait for input without a buffer it reads the first bytes to a place of their
// own.
func (p *netPort) readAny() (int, error) {
	c := p.conn
	if c.in != nil {
		room := c.room()
		if room == nil {
			return 0, errNoRoom
		}
		return p.nc.Read(room)
	}
	n, err := p.nc.Read(p.first[:])
	if n == 0 {
		return 0, err
	}
	room := c.room()
	for ; room == nil; room = c.room() {
		<-p.woken
		if c.stopping() {
			return 0, ErrServerClosed
		}
	}
	return copy(room, p.first[:n]), nil
}

// errNoRoom means that there is no memory for input now; the reader will be woken.
var errNoRoom = errors.New("no room")

func (p *netPort) write(b []byte, _ bool) (int, error) {
	c := p.conn
	c.stalledSince.Store(int64(c.srv.now()))
	n, err := p.nc.Write(b)
	c.stalledSince.Store(0)
	return n, err
}

func (p *netPort) sendFile(fd int, off int64, n int) (int, error) {
	return copyFile(p, p.conn.srv, fd, off, n)
}

func (p *netPort) awaitWritable() bool { return true } // write waits by itself

func (p *netPort) left() bool {
	c, ok := p.nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	left := true // it is closed here
	_ = raw.Control(func(fd uintptr) { left = hasLeft(int(fd)) })
	return left
}

func (p *netPort) wake() { p.woken.wake(nil) }

func (p *netPort) stop() {
	p.nc.SetReadDeadline(time.Unix(1, 0))
	p.wake()
}

func (p *netPort) shut()  { p.nc.Close() }
func (p *netPort) close() { p.nc.Close() }
