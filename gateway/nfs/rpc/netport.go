package rpc

import (
	"io"
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
	p.conn.srv.running.Add(1)
	go p.run()
}

// run has the reading duty.
func (p *netPort) run() {
	s := p.conn.srv
	defer s.running.Done()
	defer p.conn.endReading()
	for {
		w := s.getWorker()
		next := w.visit(p.conn)
		s.putWorker(w)
		switch next {
		case turnEnd:
			return
		case turnPaused:
			select {
			case <-p.woken:
			case <-s.stopping:
				return
			}
		case turnIdle:
			p.conn.rest()
			if !p.fill() {
				return
			}
		}
	}
}

// fill reads what has come, or waits for it.
func (p *netPort) fill() bool {
	c := p.conn
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
		select {
		case <-p.woken:
		case <-c.srv.stopping:
			return false
		}
	}
}

func (p *netPort) write(b []byte) (int, error) {
	c := p.conn
	c.stalledSince.Store(int64(c.srv.now()))
	n, err := p.nc.Write(b)
	c.stalledSince.Store(0)
	return n, err
}

func (p *netPort) sendFile(fd int, off int64, n int) (int, error) {
	c := p.conn
	buffer := c.srv.pool.Get(min(n, 64<<10))
	defer buffer.Release()
	n, err := preadFD(fd, buffer.B[:min(n, len(buffer.B))], off)
	if err != nil && err != io.EOF {
		return 0, err
	}
	if n == 0 {
		return 0, nil
	}
	return p.write(buffer.B[:n])
}

func (p *netPort) awaitWritable() bool { return true } // write waits by itself

func (p *netPort) wake() { p.woken.wake() }

func (p *netPort) stop() {
	p.nc.SetReadDeadline(time.Unix(1, 0))
}

func (p *netPort) close() { p.nc.Close() }
