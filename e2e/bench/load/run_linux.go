package load

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config says how much is outstanding where.
type Config struct {
	Dial        func() (fd int, err error) // a connected TCP socket; the run owns it
	Driver      func(connection int) Driver
	Connections int  // ≥ 1
	Outstanding int  // calls per connection, 1 to 1024
	Threads     int  // 0: one per connection up to two
	ReplySize   int  // bytes of the longest reply
	RecordAll   bool // count latencies from the first call on
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Dial == nil || c.Driver == nil {
		return errors.New("load: Dial and Driver are needed")
	}
	if c.Connections < 1 {
		return fmt.Errorf("load: Connections %d", c.Connections)
	}
	if c.Outstanding < 1 || c.Outstanding > maxSlots {
		return fmt.Errorf("load: Outstanding %d", c.Outstanding)
	}
	if c.Threads == 0 {
		c.Threads = min(2, c.Connections)
	}
	c.Threads = min(c.Threads, c.Connections)
	return nil
}

// Run is calls being made.
type Run struct {
	control
	threads []*thread
	wg      sync.WaitGroup
	fds     []int
}

// Totals is what was completed up to a moment.
type Totals struct{ Units, Calls int64 }

// Start opens the connections and begins.
func Start(cfg Config) (*Run, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Run{}
	r.begin = time.Now()
	r.recording.Store(cfg.RecordAll)
	for range cfg.Threads {
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			r.close()
			return nil, err
		}
		r.fds = append(r.fds, epoll)
		r.threads = append(r.threads, &thread{control: &r.control, epoll: epoll})
	}
	for i := range cfg.Connections {
		fd, err := cfg.Dial()
		if err != nil {
			r.close()
			return nil, err
		}
		r.fds = append(r.fds, fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			r.close()
			return nil, err
		}
		t := r.threads[i%cfg.Threads]
		t.conns = append(t.conns, newConn(fd, cfg.Outstanding, cfg.ReplySize, cfg.Driver(i)))
	}
	for _, t := range r.threads {
		r.wg.Go(t.run)
	}
	return r, nil
}

// Record begins counting latencies.
func (r *Run) Record() { r.recording.Store(true) }

// Totals returns what was completed until now.
func (r *Run) Totals() (sum Totals) {
	for _, t := range r.threads {
		sum.Units += t.units.Load()
		sum.Calls += t.calls.Load()
	}
	return sum
}

// Failed says that a thread has met an error, which Wait will return.
func (r *Run) Failed() bool { return r.stop.Load() }

// Stop ends latencies and issuing; Wait must follow.
func (r *Run) Stop() {
	r.recording.Store(false)
	r.stop.Store(true)
}

// Wait returns when all outstanding calls are answered and the drivers are done or stopped, and closes the connections.
func (r *Run) Wait() error {
	r.wg.Wait()
	r.close()
	var errs []error
	for _, t := range r.threads {
		errs = append(errs, t.err)
	}
	return errors.Join(errs...)
}

// Latencies returns the durations of calls that ended while recording. Only after Wait.
func (r *Run) Latencies() *Histogram {
	sum := new(Histogram)
	for _, t := range r.threads {
		sum.Merge(&t.hist)
	}
	return sum
}

func (r *Run) close() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
	r.fds = nil
}
