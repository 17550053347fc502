package peer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway/gateway/peer/peerpb"
	"causeway/internal/crew"
)

// packets is a stream, seen from either side. One goroutine sends, one receives.
type packets interface {
	Send(*peerpb.Packet) error
	Recv() (*peerpb.Packet, error)
}

// Errors of a call that got no reply.
var (
	errUnsent = errors.New("peer: the call was not sent")
	errLost   = errors.New("peer: nobody knows whether the call was executed")
	errFrame  = errors.New("peer: a frame that makes no sense")
	errUnread = errors.New("peer: the other side asks and does not take the answers")
)

// conduit is one side of a session between two gateways: calls of this side, and the other side's calls. It survives the streams
// that carry it: what has no reply when a stream breaks is sent again on the next one with the same number, and who was asked
// before answers what he answered before.
type conduit struct {
	work   worker
	window chan struct{} // holds one per open call of this side
	most   int           // calls of the other side that may be open
	log    *slog.Logger
	counts *counts

	ctx    context.Context // of what is executed for the other side
	cancel context.CancelFunc
	jobs   sync.WaitGroup
	crew   crew.Crew
	heard  atomic.Int64 // when the last packet came, in nanoseconds since the conduit was made
	born   time.Time

	mu      sync.Mutex
	carrier *carrier // nil: none now
	queue   []*peerpb.Frame
	open    map[uint64]*question // of this side
	last    uint64
	acks    []uint64 // calls of this side that have ended, which the other side does not know yet
	tasks   map[uint64]*task
	lanes   map[uint64]*lane // by volume
	ended   chan struct{}
	over    bool
}

// worker does what the other side asks.
type worker interface {
	execute(context.Context, *peerpb.Request) *peerpb.Reply
	// begin makes a change that has to wait for nothing before it is made; ok is false if it would have to, and was not made.
	begin(context.Context, *peerpb.Request) (h held, ok bool)
	// hold sends replies when their changes, of one volume, are stable.
	hold(*conduit, []held)
}

// carrier is a stream with its writer.
type carrier struct {
	packets
	wake   chan struct{} // holds one when there is something to send
	gone   chan struct{}
	finish sync.Once
	begun  bool // something was taken to be sent

	sending bool // somebody sends what he took
}

func (c *carrier) end() { c.finish.Do(func() { close(c.gone) }) }

func newConduit(calls int, log *slog.Logger, n *counts, w worker) *conduit {
	c := &conduit{
		work: w, window: make(chan struct{}, calls), most: calls, log: log, counts: n, born: time.Now(),
		open: make(map[uint64]*question), tasks: make(map[uint64]*task), lanes: make(map[uint64]*lane),
		ended: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.crew = crew.New(maxSpare, c.ended)
	return c
}

// attach makes a stream carry the conduit, in place of the one before: open calls are sent again, in their order.
func (c *conduit) attach(p packets) (*carrier, error) {
	k := &carrier{packets: p, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil, errUnsent
	}
	if c.carrier != nil {
		c.carrier.end()
	}
	c.carrier, c.queue = k, nil
	c.heard.Store(int64(time.Since(c.born)))
	ids := make([]uint64, 0, len(c.open))
	for id := range c.open {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if c.open[id].sent {
			c.counts.repeated.Add(1)
		}
		c.pushLocked(c.open[id].frame)
	}
	return k, nil
}

// detach is called when a stream has ended.
func (c *conduit) detach(k *carrier) {
	k.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carrier == k {
		c.carrier, c.queue = nil, nil
	}
}

// end ends the session. What is executed for the other side is cancelled; wait waits for it.
func (c *conduit) end() {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return
	}
	c.over = true
	close(c.ended)
	if c.carrier != nil {
		c.carrier.end()
	}
	c.mu.Unlock()
	c.lose()
	c.cancel()
}

func (c *conduit) wait() { c.jobs.Wait() }

// start runs f as something that wait waits for; false after the end.
func (c *conduit) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.jobs.Go(f)
	return true
}

// maxSpare is how many goroutines of a session wait for something to do.
const maxSpare = 32

// carried reports whether a stream carries the conduit.
func (c *conduit) carried() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.carrier != nil
}

// beat asks for a sign of life.
func (c *conduit) beat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushLocked(&peerpb.Frame{Beat: true})
}

// silent is how long nothing has come.
func (c *conduit) silent() time.Duration { return time.Since(c.born) - time.Duration(c.heard.Load()) }
