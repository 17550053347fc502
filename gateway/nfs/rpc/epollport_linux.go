package rpc

import (
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// epollPort is a connection on an event loop. Its socket never blocks.
type epollPort struct {
	conn *conn
	loop *loop
	fd   int

	// Owned by who has the loop.
	inReady bool // stands in loop.ready
	paused  bool // waits for a kick
	ended   bool // the reading is over

	mu      sync.Mutex
	closed  bool   // fd is not ours any more
	removed bool   // from epoll: the socket is dead, and would be reported for ever
	reading bool   // the reader wants input
	blocked bool   // a flusher waits for room in the socket, and serve goes on for it
	armed   uint32 // what epoll was told
}

const eventsDead = unix.EPOLLHUP | unix.EPOLLERR

// eventsIn are what a reader waits for: also that the client has ended to speak, see conn.replaced.
const eventsIn = unix.EPOLLIN | unix.EPOLLRDHUP

func (p *epollPort) start() {
	p.reading, p.armed = true, eventsIn
	p.loop.mu.Lock() // from here on the loop may see it
	p.loop.ports[int32(p.fd)] = p
	p.loop.mu.Unlock()
	if err := p.loop.add(p.fd, eventsIn); err != nil {
		p.conn.fail(err)
		p.conn.endReading()
		return
	}
	if p.conn.stopping() {
		p.wake()
	}
}

// read takes the loop over in the calling goroutine.
func (p *epollPort) read() {
	p.loop.makeReady(p)
	p.loop.run()
}

// wait tells epoll what is waited for from now on. mu is held.
func (p *epollPort) waitLocked() {
	want := uint32(0)
	if p.reading {
		want |= eventsIn
	}
	if p.blocked {
		want |= unix.EPOLLOUT
	}
	if want == p.armed || p.closed || p.removed {
		return
	}
	p.armed = want
	unix.EpollCtl(p.loop.epoll, unix.EPOLL_CTL_MOD, p.fd, &unix.EpollEvent{Events: want, Fd: int32(p.fd)})
}

// serve does what an event asks for.
func (p *epollPort) serve(w *worker, events uint32) turn {
	c := p.conn
	if events&(unix.EPOLLOUT|eventsDead) != 0 {
		p.goOn()
	}
	if events&eventsDead != 0 && (p.ended || p.paused) {
		c.fail(io.EOF)
		p.remove()
		return p.after(turnEnd)
	}
	if p.ended || p.paused && events&resume == 0 || p.inReady {
		return turnIdle
	}
	if w.looked = 0; events&(resume|unix.EPOLLRDHUP) == 0 {
		w.looked = p.loop.polled
	}
	next := turnIdle
	if events&resume != 0 {
		next = w.visit(c)
	}
	if next == turnIdle && (events&(unix.EPOLLIN|eventsDead) != 0 || c.stopping()) {
		next = p.fill(w)
	}
	return p.after(next)
}

// after notes what the reader waits for now.
func (p *epollPort) after(next turn) turn {
	if next == turnStolen || p.ended {
		return next
	}
	c := p.conn
	if next == turnIdle {
		c.rest()
	}
	reading := next == turnIdle || next == turnMore
	p.paused, p.ended = next == turnPaused, next == turnEnd
	if reading != p.reading { // only the reader changes it
		p.mu.Lock()
		p.reading = reading
		p.waitLocked()
		p.mu.Unlock()
	}
	if p.ended {
		c.endReading()
	}
	return next
}

// fill reads what has come and runs it.
func (p *epollPort) fill(w *worker) turn {
	c := p.conn
	if c.stopping() {
		return turnEnd
	}
	room := c.room()
	if room == nil {
		return turnPaused
	}
	n, err := rawRead(p.fd, room)
	switch {
	case err == unix.EAGAIN:
		return turnIdle
	case err != nil || n == 0:
		return turnEnd
	}
	c.frame.end += n
	return w.visit(c)
}

// goOn continues a flush that waited. A file may have to come from a disk, so the loop does not send it itself.
func (p *epollPort) goOn() {
	p.mu.Lock()
	blocked := p.blocked
	p.blocked = false
	p.waitLocked()
	p.mu.Unlock()
	if !blocked {
		return
	}
	c := p.conn
	if !c.fileIsNext() {
		c.flush()
		return
	}
	c.srv.running.Add(1)
	go func() {
		defer c.srv.running.Done()
		c.flush()
	}()
}

// remove takes a dead socket out of epoll.
func (p *epollPort) remove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.removed && !p.closed {
		p.removed = true
		unix.EpollCtl(p.loop.epoll, unix.EPOLL_CTL_DEL, p.fd, nil)
	}
}

func (p *epollPort) awaitWritable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.removed { // the connection is broken, and no event would come
		return true
	}
	p.blocked = true
	p.waitLocked()
	return false
}

func (p *epollPort) left() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || hasLeft(p.fd)
}

func (p *epollPort) wake() { p.loop.kick(p) }
func (p *epollPort) stop() { p.loop.kick(p) }

func (p *epollPort) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		unix.Shutdown(p.fd, unix.SHUT_RDWR)
	}
}

func (p *epollPort) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.loop.mu.Lock() // before the descriptor can be somebody else's
	delete(p.loop.ports, int32(p.fd))
	p.loop.mu.Unlock()
	unix.Close(p.fd)
}

func (p *epollPort) write(b []byte, more bool) (int, error) {
	flags := unix.MSG_NOSIGNAL
	if more {
		flags |= unix.MSG_MORE
	}
	n, err := rawSend(p.fd, b, flags)
	if err == unix.EAGAIN || err == nil && n < len(b) {
		err = errFull
	}
	return n, err
}

func (p *epollPort) sendFile(fd int, off int64, n int) (int, error) {
	sent, err := sendFile(p.fd, fd, off, n)
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOVERFLOW {
		return copyFile(p, p.conn.srv, fd, off, n)
	}
	if err == unix.EAGAIN {
		err = errFull
	}
	return sent, err
}
