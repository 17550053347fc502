package rpc

import (
	"encoding/binary"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loopEvents is how many events a loop takes at once.
const loopEvents = 128

// resume is an event of our own: the reader is to try again.
const resume = 1 << 27

// loops are the event loops of the Epoll transport; they start with the first connections.
type loops struct {
	mu   sync.Mutex
	all  []*loop
	next int
}

// loop is an event loop: one goroutine that waits for many sockets, reads them, and runs calls inline. The watchdog may replace
// the goroutine while a handler holds it up; the fields without a lock belong to the goroutine that has the loop.
type loop struct {
	srv    *Server
	epoll  int
	wakeFD int // an eventfd: there are kicked ports, or the server has ended

	ready   []*epollPort // have more to do than one visit may
	readyAt int
	events  [loopEvents]unix.EpollEvent
	found   [loopEvents]*epollPort
	polled  time.Duration // when the events came

	mu     sync.Mutex
	ports  map[int32]*epollPort // by descriptor
	kicked []*epollPort
	closed bool
}

// pickLoop returns a loop for a new connection, in turn.
func (s *Server) pickLoop() (*loop, error) {
	s.loops.mu.Lock()
	defer s.loops.mu.Unlock()
	l := &s.loops
	if len(l.all) < s.cfg.Loops {
		lp, err := newLoop(s)
		if err != nil {
			return nil, err
		}
		l.all = append(l.all, lp)
		return lp, nil
	}
	l.next++
	return l.all[l.next%len(l.all)], nil
}

func newLoop(s *Server) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wakeFD, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	l := &loop{srv: s, epoll: epoll, wakeFD: wakeFD, ports: map[int32]*epollPort{}}
	if err := l.add(wakeFD, unix.EPOLLIN); err != nil {
		unix.Close(epoll)
		unix.Close(wakeFD)
		return nil, err
	}
	s.running.Add(2)
	go func() {
		defer s.running.Done()
		l.run()
	}()
	go func() {
		defer s.running.Done()
		<-s.ended
		l.mu.Lock()
		l.wakeLocked()
		l.mu.Unlock()
	}()
	return l, nil
}

func (l *loop) add(fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// wakeLocked wakes the loop; mu is held, so that the descriptor is still ours.
func (l *loop) wakeLocked() {
	if l.closed {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(l.wakeFD, one[:])
}

// kick makes the loop serve p once more.
func (l *loop) kick(p *epollPort) {
	l.mu.Lock()
	first := len(l.kicked) == 0
	l.kicked = append(l.kicked, p)
	if first {
		l.wakeLocked()
	}
	l.mu.Unlock()
}

// run is the loop, until the server ends or the watchdog gives the loop to another goroutine.
func (l *loop) run() {
	w := l.srv.getWorker()
	defer l.srv.putWorker(w)
	for {
		p := l.nextReady()
		if p == nil {
			if !l.poll(w, -1) {
				return
			}
			continue
		}
		if !l.serve(w, p, resume) || !l.poll(w, 0) {
			return
		}
	}
}

func (l *loop) nextReady() *epollPort {
	if l.readyAt == len(l.ready) {
		l.ready, l.readyAt = l.ready[:0], 0
		return nil
	}
	p := l.ready[l.readyAt]
	l.ready[l.readyAt] = nil
	l.readyAt++
	if l.readyAt >= loopEvents {
		l.ready = l.ready[:copy(l.ready, l.ready[l.readyAt:])]
		l.readyAt = 0
	}
	p.inReady = false
	return p
}

func (l *loop) makeReady(p *epollPort) {
	if !p.inReady {
		p.inReady = true
		l.ready = append(l.ready, p)
	}
}

// poll waits for events and serves them; false: the goroutine has lost the loop, or the server has ended. Events that are not
// served then are reported again.
func (l *loop) poll(w *worker, timeout int) bool {
	w.largeRun = 0
	n, err := l.wait(w, timeout)
	if err != nil {
		l.srv.cfg.Logger.Error("event loop failed", "err", err)
		return false
	}
	if n > 0 {
		l.polled = l.srv.now()
	}
	l.mu.Lock()
	for i := range n {
		l.found[i] = l.ports[l.events[i].Fd]
	}
	l.mu.Unlock()
	for i := range n {
		p := l.found[i]
		if p != nil {
			if !l.serve(w, p, l.events[i].Events) {
				return false
			}
		} else if l.events[i].Fd == int32(l.wakeFD) && !l.woken() {
			return false
		}
	}
	return true
}

// woken takes the kicked ports; false: the server has ended.
func (l *loop) woken() bool {
	var count [8]byte
	unix.Read(l.wakeFD, count[:])
	l.mu.Lock()
	for i, p := range l.kicked {
		l.makeReady(p)
		l.kicked[i] = nil
	}
	l.kicked = l.kicked[:0]
	l.mu.Unlock()
	select {
	case <-l.srv.ended:
		l.close()
		return false
	default:
		return true
	}
}

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	unix.Close(l.epoll)
	unix.Close(l.wakeFD)
}

// wait looks without blocking first: that costs less where something has happened already. Calls that were handed to goroutines since the
// last time begin before it blocks: they stand behind this one on its processor, from which others take them only after a while. What
// they woke to send a question to another gateway has a turn too: it gives way once itself, for more to send.
func (l *loop) wait(w *worker, timeout int) (int, error) {
	for {
		n, err := rawEpollWait(l.epoll, l.events[:])
		if n == 0 && err == nil && timeout != 0 {
			if w.yields > 0 {
				w.yields--
				runtime.Gosched()
				continue
			}
			n, err = unix.EpollWait(l.epoll, l.events[:], timeout)
		}
		if err != unix.EINTR {
			return n, err
		}
	}
}

// serve gives p what it needs; false: the loop was taken away.
func (l *loop) serve(w *worker, p *epollPort, events uint32) bool {
	switch p.serve(w, events) {
	case turnStolen:
		return false
	case turnMore:
		l.makeReady(p)
	}
	return true
}
