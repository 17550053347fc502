package load

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// drainTime bounds how long outstanding replies are waited for after a stop.
const drainTime = 20 * time.Second

// control is what all threads of a run share.
type control struct {
	begin     time.Time
	stop      atomic.Bool
	recording atomic.Bool
}

func (c *control) now() time.Duration { return time.Since(c.begin) }

// thread serves some connections from one operating system thread.
type thread struct {
	*control
	epoll int
	conns []*conn
	hist  Histogram // only of calls that ended while recording

	units, calls atomic.Int64
	err          error
	cpu          time.Duration // what the thread has used, set when it ends
}

// run works until the drivers have nothing more to do, or until the run is stopped and all replies are in.
func (t *thread) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadCPU()
	if t.err = t.start(); t.err == nil {
		t.err = t.loop()
	}
	t.cpu = threadCPU() - before
	if t.err != nil {
		t.stop.Store(true)
	}
}

func (t *thread) start() error {
	for i, c := range t.conns {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET&0xffffffff, Fd: int32(i)}
		if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
			return err
		}
		now := t.now()
		for s := range c.slots {
			c.issue(s, now)
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (t *thread) loop() error {
	events := make([]unix.EpollEvent, len(t.conns))
	var stopped time.Duration
	for t.busy() {
		n, err := unix.EpollWait(t.epoll, events, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if t.stop.Load() {
			if stopped == 0 {
				stopped = t.now()
			}
			if t.now()-stopped > drainTime {
				return errors.New("replies are missing")
			}
		}
		for _, event := range events[:max(n, 0)] {
			if err := t.visit(t.conns[event.Fd]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *thread) busy() bool {
	for _, c := range t.conns {
		if c.open > 0 {
			return true
		}
	}
	return false
}

// visit takes what has arrived on a connection, judges it, and answers all of it with one write.
func (t *thread) visit(c *conn) error {
	for more := true; more; {
		var err error
		if more, err = c.receive(); err != nil {
			return err
		}
		if err := t.answer(c); err != nil {
			return err
		}
	}
	return c.flush()
}

func (t *thread) answer(c *conn) error {
	now, recording, stop := t.now(), t.recording.Load(), t.stop.Load()
	var units, calls int64
	for message := c.message(); message != nil; message = c.message() {
		slot, n, err := c.judge(message)
		if err != nil {
			return err
		}
		if recording {
			t.hist.Add(now - c.slots[slot].sent)
		}
		units += n
		calls++
		if !stop {
			c.issue(slot, now)
		}
	}
	if calls > 0 {
		t.units.Add(units)
		t.calls.Add(calls)
	}
	return nil
}

func threadCPU() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
