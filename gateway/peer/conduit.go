package peer

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
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
)

// conduit is one side of a session between two gateways: calls of this side, and the other side's calls. It survives the streams
// that carry it: what has no reply when a stream breaks is sent again on the next one with the same number, and who was asked
// before answers what he answered before.
type conduit struct {
	execute func(context.Context, *peerpb.Request) *peerpb.Reply
	window  chan struct{} // holds one per open call of this side
	most    int           // calls of the other side that may be open
	log     *slog.Logger
	counts  *counts

	ctx    context.Context // of what is executed for the other side
	cancel context.CancelFunc
	jobs   sync.WaitGroup
	heard  atomic.Int64 // when the last packet came, in nanoseconds since the conduit was made
	born   time.Time

	mu      sync.Mutex
	carrier *carrier // nil: none now
	queue   []*peerpb.Frame
	open    map[uint64]*question // of this side
	last    uint64
	settled uint64 // all calls of this side with lower numbers have ended
	tasks   map[uint64]*task
	done    uint64 // all calls of the other side with lower numbers have ended there
	ended   chan struct{}
	over    bool
}

// carrier is a stream with its writer.
type carrier struct {
	packets
	wake   chan struct{} // holds one when there is something to send
	gone   chan struct{}
	finish sync.Once
}

func (c *carrier) end() { c.finish.Do(func() { close(c.gone) }) }

// question is a call of this side. ready is closed when reply, or nil if there will be none, is set.
type question struct {
	id    uint64
	frame *peerpb.Frame
	ready chan struct{}
	reply *peerpb.Reply
	sent  bool
}

// task is a call of the other side: in execution until reply is set.
type task struct {
	cancel context.CancelFunc
	reply  *peerpb.Reply
}

func newConduit(calls int, log *slog.Logger, n *counts, execute func(context.Context, *peerpb.Request) *peerpb.Reply) *conduit {
	c := &conduit{
		execute: execute, window: make(chan struct{}, calls), most: calls, log: log, counts: n, born: time.Now(), settled: 1, done: 1,
		open: make(map[uint64]*question), tasks: make(map[uint64]*task), ended: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// ask sends a request and waits for the reply. When ctx ends, the other side is told.
func (c *conduit) ask(ctx context.Context, r *peerpb.Request) (*peerpb.Reply, error) {
	select {
	case c.window <- struct{}{}:
	default:
		select {
		case c.window <- struct{}{}:
		case <-ctx.Done():
			return nil, errUnsent
		case <-c.ended:
			return nil, errUnsent
		}
	}
	defer func() { <-c.window }()
	q := &question{frame: &peerpb.Frame{Request: r}, ready: make(chan struct{})}
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return nil, errUnsent
	}
	c.last++
	q.id, q.frame.Id = c.last, c.last
	c.open[q.id] = q
	c.pushLocked(q.frame)
	c.mu.Unlock()
	select {
	case <-q.ready:
	case <-ctx.Done():
		if !c.giveUp(q) {
			<-q.ready // the reply came meanwhile, or the end
		}
	}
	switch {
	case q.reply != nil:
		return q.reply, nil
	case q.sent:
		return nil, errLost
	}
	return nil, errUnsent
}

// giveUp ends a call that nobody waits for; false if it has ended.
func (c *conduit) giveUp(q *question) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[q.id] != q {
		return false
	}
	c.closeLocked(q)
	if q.sent {
		c.pushLocked(&peerpb.Frame{Id: q.id, Cancel: true})
	} else if i := slices.Index(c.queue, q.frame); i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
	}
	return true
}

func (c *conduit) closeLocked(q *question) {
	delete(c.open, q.id)
	for c.settled <= c.last && c.open[c.settled] == nil {
		c.settled++
	}
}

// pushLocked queues a frame for the stream there is. Without one it is dropped: questions are sent again, replies asked for again.
func (c *conduit) pushLocked(f *peerpb.Frame) {
	if c.carrier == nil {
		return
	}
	c.queue = append(c.queue, f)
	select {
	case c.carrier.wake <- struct{}{}:
	default:
	}
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

// lose fails all open calls: the other side knows nothing of this session.
func (c *conduit) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.open {
		c.closeLocked(q)
		close(q.ready)
	}
	c.queue = nil
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

// maxPacket is about how many bytes are sent together.
const maxPacket = 128 << 10

// write sends what is queued until the stream ends; all that is ready goes into one packet.
func (c *conduit) write(k *carrier) error {
	for {
		select {
		case <-k.wake:
		case <-k.gone:
			return errUnsent
		}
		for {
			frames := c.take(k)
			if frames == nil {
				break
			}
			c.counts.packets.Add(1)
			c.counts.frames.Add(uint64(len(frames)))
			if err := k.Send(&peerpb.Packet{Frames: frames}); err != nil {
				return err
			}
		}
	}
}

// take takes from the queue what goes into one packet.
func (c *conduit) take(k *carrier) []*peerpb.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carrier != k || len(c.queue) == 0 {
		return nil
	}
	n, size := 0, 0
	for n < len(c.queue) && size < maxPacket {
		f := c.queue[n]
		size += weight(f)
		if f.Request != nil {
			f.Settled = c.settled
			if q := c.open[f.Id]; q != nil {
				q.sent = true
			}
		}
		n++
	}
	frames := c.queue[:n:n]
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return frames
}

// weight is about how many bytes a frame has.
func weight(f *peerpb.Frame) int {
	w := 256
	if r := f.Request; r != nil {
		w += 5*len(r.Caller.GetGroups()) + len(r.Create.GetTarget()) + 40*len(r.Commit.GetExtents()) + 80*len(r.Held)
		for _, c := range r.Batch.GetRecords() {
			w += 32 + len(c.Name) + len(c.Data)
		}
	}
	if r := f.Reply; r != nil {
		w += 200*len(r.Entries) + 40*len(r.Grant.GetExtents()) + 100*len(r.Locks) + len(r.Target) + 80*len(r.Held)
	}
	return w
}

// read takes packets until the stream ends. It never waits for what a packet asks for.
func (c *conduit) read(k *carrier) error {
	for {
		p, err := k.Recv()
		if err != nil {
			return err
		}
		c.heard.Store(int64(time.Since(c.born)))
		for _, f := range p.Frames {
			if err := c.receive(f); err != nil {
				return err
			}
		}
		select {
		case <-k.gone:
			return errUnsent
		default:
		}
	}
}

func (c *conduit) receive(f *peerpb.Frame) error {
	switch {
	case f == nil:
		return errFrame
	case f.Reply != nil:
		c.answered(f)
	case f.Request != nil:
		return c.begin(f)
	case f.Cancel:
		c.mu.Lock()
		if t := c.tasks[f.Id]; t != nil {
			t.cancel()
			c.counts.cancelled.Add(1)
		}
		c.mu.Unlock()
	case f.Beat:
		if !f.Answer {
			c.mu.Lock()
			c.pushLocked(&peerpb.Frame{Beat: true, Answer: true})
			c.mu.Unlock()
		}
	default: // of a later version
	}
	return nil
}

func (c *conduit) answered(f *peerpb.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.open[f.Id]; q != nil {
		c.closeLocked(q)
		q.reply = f.Reply
		close(q.ready)
	}
}

// begin starts a call of the other side in a goroutine of its own, unless it was started before.
func (c *conduit) begin(f *peerpb.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return errUnsent
	}
	if f.Settled > f.Id || f.Id == 0 {
		return errFrame
	}
	c.forgetLocked(f.Settled)
	if f.Id < c.done {
		return nil // it has ended there
	}
	if t := c.tasks[f.Id]; t != nil {
		c.counts.duplicates.Add(1)
		if t.reply != nil {
			c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: t.reply})
		}
		return nil
	}
	if len(c.tasks) >= 4*c.most {
		return errFrame
	}
	t, ctx := &task{}, c.ctx
	if ms := f.Request.TimeoutMs; ms > 0 && !wire.Changes(f.Request.Op) {
		ctx, t.cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
	} else {
		ctx, t.cancel = context.WithCancel(ctx)
	}
	c.tasks[f.Id] = t
	c.jobs.Go(func() { c.run(ctx, f, t) })
	return nil
}

// forgetLocked drops what was remembered of calls that have ended at the other side.
func (c *conduit) forgetLocked(settled uint64) {
	if settled <= c.done {
		return
	}
	if settled-c.done > uint64(len(c.tasks))*2+64 {
		for id, t := range c.tasks {
			if id < settled && t.reply != nil {
				delete(c.tasks, id)
			}
		}
	} else {
		for id := c.done; id < settled; id++ {
			if t := c.tasks[id]; t != nil && t.reply != nil {
				delete(c.tasks, id)
			}
		}
	}
	c.done = settled
}

// run executes a call of the other side and answers it. The reply of what is no change is not kept: it is executed again.
func (c *conduit) run(ctx context.Context, f *peerpb.Frame, t *task) {
	reply := c.safely(ctx, f.Request)
	t.cancel()
	c.mu.Lock()
	t.reply = reply
	if !wire.Changes(f.Request.Op) || f.Id < c.done {
		delete(c.tasks, f.Id)
	}
	c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: reply})
	c.mu.Unlock()
}

// safely makes of a panic a failure of that call.
func (c *conduit) safely(ctx context.Context, r *peerpb.Request) (reply *peerpb.Reply) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("a request of another gateway panicked", "op", r.Op.String(), "err", p, "stack", string(debug.Stack()))
			reply = wire.Failed(causeway.ErrServerFault)
		}
	}()
	return c.execute(ctx, r)
}

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
