package peer

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
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

// question is a call of this side. ready is closed when reply, or nil if there will be none, is set; where nobody waits, done is called.
type question struct {
	id    uint64
	frame *peerpb.Frame
	ready chan struct{}
	done  func(*peerpb.Reply, error)
	limit *time.Timer // of a question with done
	reply *peerpb.Reply
	sent  bool
}

// end tells who asked, not under the conduit's lock.
func (q *question) end() {
	if q.done == nil {
		close(q.ready)
		return
	}
	q.limit.Stop()
	q.done(q.result())
}

func (q *question) result() (*peerpb.Reply, error) {
	switch {
	case q.reply != nil:
		return q.reply, nil
	case q.sent:
		return nil, errLost
	}
	return nil, errUnsent
}

// task is a call of the other side: in execution until reply is set.
type task struct {
	cancel   context.CancelFunc // nil while it waits for its turn in a lane
	reply    *peerpb.Reply
	given    bool // up by the other side, before cancel was there
	unwanted bool // the call has ended at the other side
}

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
	if !c.beginLocked(q) {
		c.mu.Unlock()
		return nil, errUnsent
	}
	c.flushLocked(len(c.open) == 1) // else others are likely to ask now too, and share a packet
	select {
	case <-q.ready:
	case <-ctx.Done():
		if !c.giveUp(q) {
			<-q.ready // the reply came meanwhile, or the end
		}
	}
	return q.result()
}

// post sends a request and has done called with the reply, by whoever brings it. False: it would have to wait, or this is the end.
func (c *conduit) post(r *peerpb.Request, within time.Duration, done func(*peerpb.Reply, error)) bool {
	select {
	case c.window <- struct{}{}:
	default:
		return false
	}
	q := &question{frame: &peerpb.Frame{Request: r}, done: func(reply *peerpb.Reply, err error) {
		<-c.window
		done(reply, err)
	}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.beginLocked(q) {
		<-c.window
		return false
	}
	q.limit = time.AfterFunc(within, func() {
		if c.giveUp(q) {
			q.end()
		}
	})
	c.wakeLocked()
	return true
}

// beginLocked numbers a question and queues it; false after the end.
func (c *conduit) beginLocked(q *question) bool {
	if c.over {
		return false
	}
	c.last++
	q.id, q.frame.Id = c.last, c.last
	c.open[q.id] = q
	c.queueLocked(q.frame)
	return true
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
	if q.sent && wire.Changes(q.frame.Request.Op) {
		c.acks = append(c.acks, q.id)
	}
}

// pushLocked queues a frame, and has it sent.
func (c *conduit) pushLocked(f *peerpb.Frame) {
	c.queueLocked(f)
	c.wakeLocked()
}

// queueLocked queues a frame for the stream there is. Without one it is dropped: questions are sent again, replies asked for again.
func (c *conduit) queueLocked(f *peerpb.Frame) {
	if c.carrier != nil {
		c.queue = append(c.queue, f)
	}
}

// wakeLocked has the writer send what is queued.
func (c *conduit) wakeLocked() {
	if c.carrier == nil || len(c.queue) == 0 {
		return
	}
	select {
	case c.carrier.wake <- struct{}{}:
	default:
	}
}

// flushLocked sends what is queued at once, unless somebody is sending: that saves waking the writer. It may wait where the other side does
// not read, as long as such a stream lasts, so it is not for who reads one: two gateways could wait for each other.
//
// It unlocks. Where it is not wanted, the writer is woken.
func (c *conduit) flushLocked(wanted bool) {
	k := c.carrier
	var p *peerpb.Packet
	if wanted {
		p = c.takeLocked(k)
	} else {
		c.wakeLocked()
	}
	c.mu.Unlock()
	if p == nil {
		return
	}
	if c.send(k, p) != nil {
		k.end() // its writer, or who reads it, tells of the error
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeLocked() // for what came meanwhile
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
	ended := slices.Collect(maps.Values(c.open))
	for _, q := range ended {
		c.closeLocked(q)
	}
	c.queue, c.acks = nil, nil
	c.mu.Unlock()
	for _, q := range ended {
		q.end()
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
			p := c.take(k)
			if p == nil {
				break
			}
			if err := c.send(k, p); err != nil {
				return err
			}
		}
	}
}

// send sends what was taken: one at a time does.
func (c *conduit) send(k *carrier, p *peerpb.Packet) error {
	c.counts.packets.Add(1)
	c.counts.frames.Add(uint64(len(p.Frames)))
	err := k.Send(p)
	c.mu.Lock()
	k.sending = false
	c.mu.Unlock()
	return err
}

// take takes from the queue what goes into one packet. Before a request can be sent, the other side is told of all calls that have
// ended: so it never remembers more than the window holds.
func (c *conduit) take(k *carrier) *peerpb.Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeLocked(k)
}

func (c *conduit) takeLocked(k *carrier) *peerpb.Packet {
	if k == nil || c.carrier != k || k.sending || len(c.queue) == 0 {
		return nil
	}
	p, n, size := &peerpb.Packet{Ended: c.acks}, 0, 0
	for n < len(c.queue) && size < maxPacket {
		f := c.queue[n]
		n++
		if f.Request != nil {
			q := c.open[f.Id]
			if q == nil {
				continue // answered before it was sent again: the other side has forgotten it, and would begin anew
			}
			q.sent = true
		}
		size += weight(f)
		p.Frames = append(p.Frames, f)
	}
	k.sending = true
	if !k.begun {
		k.begun, p.First, p.Open = true, true, slices.Collect(maps.Keys(c.open))
	}
	if c.queue, c.acks = c.queue[n:], nil; len(c.queue) == 0 {
		c.queue = nil
	}
	return p
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
		c.forget(k, p)
		for _, f := range p.Frames {
			if err := c.receive(k, f); err != nil {
				return err
			}
			if c.unread(k) {
				return errUnread
			}
		}
		select {
		case <-k.gone:
			return errUnsent
		default:
		}
	}
}

// unread reports whether more waits to be sent than the other side can have asked for and this side ask: an end that asks on, and does not
// read, would fill the memory. The stream ends, and with it what waits.
func (c *conduit) unread(k *carrier) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.carrier == k && len(c.queue) > 8*c.most
}

func (c *conduit) receive(k *carrier, f *peerpb.Frame) error {
	switch {
	case f == nil:
		return errFrame
	case f.Reply != nil:
		c.answered(f)
	case f.Request.GetOp() == peerpb.Op_KEEP: // waits for nothing, and many wait for it
		c.keep(k, f)
	case f.Request != nil:
		return c.begin(k, f)
	case f.Cancel:
		c.mu.Lock()
		if t := c.tasks[f.Id]; t != nil {
			if t.given = true; t.cancel != nil {
				t.cancel()
			}
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
	q := c.open[f.Id]
	if q != nil {
		c.closeLocked(q)
		q.reply = f.Reply
	}
	c.mu.Unlock()
	if q != nil {
		q.end()
	}
}

// keep takes a second copy at once.
func (c *conduit) keep(k *carrier, f *peerpb.Frame) {
	reply := c.safely(f.Request, func() *peerpb.Reply { return c.work.execute(c.ctx, f.Request) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carrier == k {
		c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: reply})
	}
}

// begin starts a call of the other side, unless it was started before: a change in its volume's lane, others in goroutines of their
// own. What a stream brings that has been replaced is too late: it came again on the other one, and may have ended.
func (c *conduit) begin(k *carrier, f *peerpb.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.carrier != k {
		return errUnsent
	}
	if t := c.tasks[f.Id]; t != nil {
		c.counts.duplicates.Add(1)
		if t.reply != nil {
			c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: t.reply})
		}
		return nil
	}
	if len(c.tasks) >= 4*c.most { // all given up by the other side, and still in execution here
		c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: wire.Failed(causeway.ErrDelay)})
		return nil
	}
	t := &task{}
	c.tasks[f.Id] = t
	if wire.Prompt(f.Request) {
		c.enterLocked(job{f, t})
	} else {
		c.goLocked(job{f, t})
	}
	return nil
}

// goLocked executes a call in a goroutine of its own.
func (c *conduit) goLocked(j job) {
	ctx := c.ctx
	if ms := j.frame.Request.TimeoutMs; ms > 0 && !wire.Changes(j.frame.Request.Op) {
		ctx, j.task.cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
	} else {
		ctx, j.task.cancel = context.WithCancel(ctx)
	}
	if j.task.given {
		j.task.cancel()
	}
	c.crew.Do(&c.jobs, func() {
		reply := c.safely(j.frame.Request, func() *peerpb.Reply { return c.work.execute(ctx, j.frame.Request) })
		j.task.cancel()
		c.mu.Lock()
		c.finishLocked(j, reply)
		c.flushLocked(len(c.tasks) == 0)
	})
}

// forget drops the replies of calls that have ended at the other side. What it said on a stream that broke may not have come, so it
// says on the next one what is open.
func (c *conduit) forget(k *carrier, p *peerpb.Packet) {
	if !p.First && len(p.Ended) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carrier != k {
		return
	}
	if p.First {
		open := make(map[uint64]bool, min(len(p.Open), c.most))
		for _, id := range p.Open {
			open[id] = true
		}
		for id, t := range c.tasks {
			if !open[id] {
				c.endedLocked(id, t)
			}
		}
	}
	for _, id := range p.Ended {
		if t := c.tasks[id]; t != nil {
			c.endedLocked(id, t)
		}
	}
}

func (c *conduit) endedLocked(id uint64, t *task) {
	t.unwanted = true
	if t.reply != nil {
		delete(c.tasks, id)
	}
}

// finishLocked answers a call of the other side; flushLocked is to follow. The reply of what is no change is not kept: it is executed again.
func (c *conduit) finishLocked(j job, reply *peerpb.Reply) {
	j.task.reply = reply
	if !wire.Changes(j.frame.Request.Op) || j.task.unwanted {
		delete(c.tasks, j.frame.Id)
	}
	c.queueLocked(&peerpb.Frame{Id: j.frame.Id, Reply: reply})
}

// safely makes of a panic a failure of that call.
func (c *conduit) safely(r *peerpb.Request, f func() *peerpb.Reply) (reply *peerpb.Reply) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("a request of another gateway panicked", "op", r.Op.String(), "err", p, "stack", string(debug.Stack()))
			reply = wire.Failed(causeway.ErrServerFault)
		}
	}()
	return f()
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
