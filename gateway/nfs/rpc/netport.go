package rpc

import (
	"net"
	"time"
)

// netPort is a connection on the runtime's poller: a goroutine reads it, and writes wait.
type netPort struct {
	conn  *conn
	nc    net.Conn
	woken signal
	first [markSize]byte
}

func newNetPort(c *conn, nc net.Conn) *netPort {
	return &netPort{conn: c, nc: nc, woken: newSignal()}
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

// fill reads what has come, or waits for it.
func (p *netPort) fill() bool {
	c := p.conn
	if c.stopping() {
		return false
	}
	n := 0
	var err error
	if c.in == nil { // nothing is kept: wait without a buffer
		n, err = p.nc.Read(p.first[:])
	}
	for {
		room := c.room()
		if room != nil {
			if n > 0 {
				copy(room, p.first[:n])
				c.frame.end += n
				return err == nil
			}
			n, err = p.nc.Read(room)
			c.frame.end += n
			return n > 0 || err == nil
		}
		<-p.woken
		if c.stopping() {
			return false
		}
	}
}

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

func (p *netPort) wake() { p.woken.wake() }

func (p *netPort) stop() {
	p.nc.SetReadDeadline(time.Unix(1, 0))
	p.wake()
}

func (p *netPort) shut()  { p.nc.Close() }
func (p *netPort) close() { p.nc.Close() }
