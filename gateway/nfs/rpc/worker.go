package rpc

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway/nfs/xdr"
	"causeway/internal/buf"
)

// Bounds of one visit to a connection: a loop serves others too.
const (
	visitCalls = 64
	visitBytes = 256 << 10
)

// outSize is the buffer for the replies of a visit. It is sent when sendAt is passed, so that the reply of a call that is not
// bulk fits without growing.
const (
	outSize = 256<<10 + buf.Room
	sendAt  = 96 << 10
)

// turn says what a connection needs after a visit.
type turn uint8

const (
	turnIdle   turn = iota // input
	turnMore               // another visit: its bound was reached
	turnPaused             // a wake
	turnEnd                // nothing: it is not read any more
	turnStolen             // nothing from this goroutine: the reading duty was taken away
)

// worker is what one goroutine that runs calls inline needs: scratch that is reused.
type worker struct {
	srv    *Server
	call   Call
	groups [maxGroups]uint32
	out    *buf.Buffer // of call.Reply
	start  int         // in call.Reply: of the reply under way

	calls, bytesIn uint64 // of this visit

	holds bool  // a place for a held reply is taken
	held  *Held // the reply under way is held

	looked time.Duration // when the connection under way was seen to be open still; 0: it was not looked at
	yields int           // how often the loop gives way before it waits, see loop.wait

	// For calls of Bulk bytes that run inline, see large.go.
	lastSmall time.Duration
	largeRun  int
	largeCost int64
	outgrown  *buf.Buffer
	grow      func(b []byte, n int) []byte

	// For the watchdog.
	state      atomic.Uint64 // seq, or seq with stolen
	seq        uint64        // rises before and after each call: odd inside
	conn       atomic.Pointer[conn]
	done       []byte        // the finished replies before the call
	handed     chan struct{} // the watchdog has taken what it takes
	stolenIn   *buf.Buffer   // the input that the call still uses
	stolenCost int64
}

// workerList keeps all workers and those that are idle.
type workerList struct {
	mu        sync.Mutex
	all, idle []*worker
}

func (s *Server) getWorker() *worker {
	l := &s.workers
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		w := l.idle[n-1]
		l.idle = l.idle[:n-1]
		w.looked = 0
		return w
	}
	w := &worker{srv: s, handed: make(chan struct{}, 1)}
	w.grow, w.call.worker = w.growReply, w
	l.all = append(l.all, w)
	return w
}

func (s *Server) putWorker(w *worker) {
	s.workers.mu.Lock()
	s.workers.idle = append(s.workers.idle, w)
	s.workers.mu.Unlock()
}

// allWorkers returns the workers that there are; the list only grows.
func (s *Server) allWorkers() []*worker {
	s.workers.mu.Lock()
	defer s.workers.mu.Unlock()
	return s.workers.all
}

// visit runs the complete calls that c's input holds, within bounds, and sends their replies with one write.
func (w *worker) visit(c *conn) (next turn) {
	if next := c.mayRead(); next != turnMore {
		c.passOn()
		return next
	}
	if c.replaced(w.looked) {
		c.passOn()
		return turnEnd
	}
	w.renew()
	w.call.Remote, w.call.Local, w.call.Datagram, w.call.NoWait = c.remote, c.local, false, true
	w.call.Life = c.life
	w.conn.Store(c)
	defer func() {
		if r := recover(); r != nil {
			next = w.panicked(c, r)
		}
		c.calls.Add(w.calls)
		c.bytesIn.Add(w.bytesIn)
		w.calls, w.bytesIn = 0, 0
		if next != turnStolen {
			w.flush(c)
		}
		w.out.Release()
		w.out, w.call.Reply = nil, xdr.Encoder{}
		if next != turnStolen {
			c.passOn()
		}
	}()
	return w.runAll(c)
}

func (w *worker) runAll(c *conn) turn {
	t := w.srv.now()
	c.lastCall.Store(int64(t))
	for calls, bytes := 0, 0; calls < visitCalls && bytes < visitBytes; calls++ {
		record, err := c.nextRecord()
		if err != nil {
			w.srv.cfg.Logger.Debug("bad record", "client", c.remote.String(), "err", err)
			return turnEnd
		}
		if record == nil {
			return turnIdle
		}
		bytes += len(record)
		var next turn
		if next, t = w.run(c, record, t); next != turnMore {
			return next
		}
		if w.call.Reply.Len() >= sendAt {
			bytes += w.call.Reply.Len()
			w.flush(c)
			if next := c.mayRead(); next != turnMore {
				return next
			}
		}
	}
	return turnMore
}

// nextRecord returns a record that waits to be run again, or the next one of the input.
func (c *conn) nextRecord() ([]byte, error) {
	if c.pending != nil {
		record := c.pending
		c.pending = nil
		return record, nil
	}
	if c.in == nil || c.stopping() {
		return nil, nil
	}
	record, err := c.frame.record(c.in.B, c.srv.cfg.MaxRecord)
	if record != nil {
		c.took(len(record))
	}
	return record, err
}

// run runs one call inline. t is the time when it starts; its end is returned.
func (w *worker) run(c *conn, record []byte, t time.Duration) (turn, time.Duration) {
	w.start = w.call.Reply.Len()
	w.call.Reply.Uint32(0) // the record mark
	w.allowLarge(c, t)
	w.call.MayLater, w.call.Op = false, causeway.OpID{}
	w.begin()
	verdict := Park
	if !c.client.turns.busy(c, record) {
		verdict = w.srv.answer(w.srv.ctx, &w.call, &w.groups, record)
	}
	if !w.end() {
		w.calls++
		w.bytesIn += uint64(len(record))
		if w.settleHeld(c, verdict, t, len(record)) {
			verdict = held
		}
		w.finishStolen(c, record, verdict)
		return turnStolen, t
	}
	w.noteLarge(c, t, verdict)
	if w.settleHeld(c, verdict, t, len(record)) {
		verdict = held
	}
	switch verdict {
	case Park:
		w.call.Reply.Truncate(w.start)
		if !c.park(record) {
			c.pending = record
			return turnPaused, t
		}
		w.yields = 2
	case Done:
		w.finish(c)
	default:
		w.call.Reply.Truncate(w.start)
	}
	w.calls++
	w.bytesIn += uint64(len(record))
	if w.srv.cfg.Observer != nil && verdict <= Drop && verdict != Park {
		t = w.srv.observe(&w.call, verdict, t, len(record), w.call.Reply.Len()-w.start-markSize)
	}
	if verdict == hangUp {
		return turnEnd, t
	}
	return turnMore, t
}

// observe tells the observer and returns the time.
func (s *Server) observe(c *Call, v Verdict, since time.Duration, in, out int) time.Duration {
	now := s.now()
	s.cfg.Observer.Observe(c.Prog, c.Vers, c.Proc, v, now-since, in, max(0, out))
	return now
}

// finish completes a reply with its record mark.
func (w *worker) finish(c *conn) {
	n := w.call.Reply.Len() - w.start - markSize
	if w.call.File.Hold == nil && w.largeCost == 0 {
		w.call.Reply.PatchUint32(w.start, lastFragment|uint32(n))
		return
	}
	g := segment{own: w.out, cost: w.largeCost}
	w.largeCost = 0
	g.takeFile(&w.call)
	w.call.Reply.PatchUint32(w.start, lastFragment|uint32(n+g.left+g.pad))
	g.b = w.call.Reply.Bytes()
	w.renew()
	c.send(g)
}

// flush sends the finished replies.
func (w *worker) flush(c *conn) {
	b := w.call.Reply.Bytes()
	if len(b) == 0 {
		return
	}
	if c.sendNow(b, w.out) {
		w.renew()
		return
	}
	w.call.Reply = xdr.NewGrowingEncoder(w.out.B[:0], w.grow)
}

// renew replaces a buffer that was given away.
func (w *worker) renew() {
	w.out = w.srv.pool.Get(outSize)
	w.call.Reply = xdr.NewGrowingEncoder(w.out.B[:0], w.grow)
}

// panicked answers the call of a handler that panicked; the connection ends, the process lives.
func (w *worker) panicked(c *conn, r any) turn {
	w.srv.logPanic(&w.call, r)
	w.call.releaseFile()
	w.call.Reply.Truncate(w.start)
	w.settleHeld(c, Drop, 0, 0)
	w.call.Reply.Uint32(0)
	accept(&w.call.Reply, w.call.XID, acceptSystemErr)
	if w.inside() && !w.end() {
		w.finishStolen(c, nil, Done)
		c.hangUp()
		return turnStolen
	}
	w.finish(c)
	w.outgrown.Release()
	w.outgrown = nil
	return turnEnd
}

func (s *Server) logPanic(c *Call, r any) {
	s.counts.panics.Add(1)
	s.cfg.Logger.Error("handler panicked", "client", c.Remote.String(), "prog", c.Prog, "vers", c.Vers, "proc", c.Proc,
		"err", r, "stack", string(debug.Stack()))
}
