package rpc

import (
	"sync/atomic"
	"time"

	"causeway/gateway/nfs/xdr"
)

// A handler that is stuck on a goroutine that reads sockets (a cold page, a slow rename) holds up everybody who is served there.
// The watchdog then takes the reading duty away from it and gives it to a fresh goroutine; the stuck one sends its own reply when
// it is done. The only thing shared is worker.state: the worker moves it before and after each call, the watchdog marks it as
// stolen, both by compare-and-swap, and whoever comes second knows.

// watchPeriod is the watchdog's period: a handler is stuck if it is in the same call for a whole one.
const watchPeriod = 2 * time.Millisecond

// watchIdle is for how many periods without any call the watchdog stays awake.
const watchIdle = 50

const stolen = 1 << 63

// begin is called before each inline call: from here on the watchdog may take c away.
func (w *worker) begin() {
	w.done = w.call.Reply.Bytes()[:w.start]
	w.seq++
	w.state.Store(w.seq) // odd: inside
	if w.srv.watch.asleep.Load() {
		w.srv.watch.rouse()
	}
}

// end reports whether the worker still has the reading duty.
func (w *worker) end() bool {
	w.seq++
	if w.state.CompareAndSwap(w.seq-1, w.seq) {
		return true
	}
	w.state.Store(w.seq)
	<-w.handed
	return false
}

func (w *worker) inside() bool { return w.seq&1 == 1 }

// runWatchdog looks at all workers, until the server stops.
func (s *Server) runWatchdog() {
	defer s.running.Done()
	seen := map[*worker]uint64{}
	tick := time.NewTicker(watchPeriod)
	defer tick.Stop()
	for quiet := 0; ; {
		select {
		case <-tick.C:
		case <-s.ended:
			return
		}
		if s.look(seen) {
			quiet = 0
			continue
		}
		if quiet++; quiet < watchIdle {
			continue
		}
		quiet = 0
		s.watch.asleep.Store(true)
		if s.look(seen) { // a call that began before it could see that we sleep
			s.watch.asleep.Store(false)
			continue
		}
		tick.Stop()
		select {
		case <-s.watch.roused:
		case <-s.ended:
			return
		}
		tick.Reset(watchPeriod)
	}
}

// watch is how a sleeping watchdog is woken.
type watch struct {
	asleep atomic.Bool
	roused signal
}

func (w *watch) rouse() {
	if w.asleep.CompareAndSwap(true, false) {
		w.roused.wake(nil)
	}
}

// look takes away what stuck workers hold, and reports whether any call ran since the last look.
func (s *Server) look(seen map[*worker]uint64) (busy bool) {
	for _, w := range s.allWorkers() {
		state := w.state.Load()
		before := seen[w]
		seen[w] = state
		busy = busy || state != before || state&1 == 1
		if state&1 == 1 && state&stolen == 0 && state == before {
			w.steal(state)
		}
	}
	return busy
}

// steal takes the reading duty of the worker's connection away, which is stuck in the call that state names.
func (w *worker) steal(state uint64) {
	c := w.conn.Load()
	if !c.takeSlot(nil) {
		return
	}
	if !w.state.CompareAndSwap(state, state|stolen) {
		c.giveSlots(1)
		return
	}
	// What the worker published before the call is ours now, and it will not touch the connection's input any more.
	s := w.srv
	s.counts.stolen.Add(1)
	w.stolenIn, w.stolenCost = c.in, c.inCost
	c.in, c.inCost = nil, 0
	if c.frame.empty() {
		c.frame = framer{}
	} else {
		c.in = s.pool.Get(max(readSize, c.frame.kept()+c.frame.missing()))
		c.frame.moveTo(c.in.B, w.stolenIn.B)
	}
	replies := segment{}
	if n := len(w.done); n > 0 {
		replies.own = s.pool.Get(n)
		replies.b = replies.own.B[:copy(replies.own.B, w.done)]
	}
	w.handed <- struct{}{}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		if replies.own != nil {
			c.send(replies)
		}
		c.port.read()
	}()
}

// finishStolen sends the reply of a call that was stolen, and leaves the worker as new.
func (w *worker) finishStolen(c *conn, record []byte, verdict Verdict) {
	in, cost := w.stolenIn, w.stolenCost
	w.stolenIn, w.stolenCost = nil, 0
	defer func() {
		in.Release()
		c.giveBytes(cost)
		w.settleLarge(c)
	}()
	switch verdict {
	case Park:
		p := newParked()
		p.conn, p.n = c, len(record)
		p.record = w.srv.pool.Get(len(record))
		copy(p.record.B, record)
		w.srv.running.Add(1)
		p.run()
	case Done:
		g := segment{own: w.out, cost: w.largeCost, slots: 1}
		w.largeCost = 0
		g.takeFile(&w.call)
		w.call.Reply.PatchUint32(w.start, lastFragment|uint32(w.call.Reply.Len()-w.start-markSize+g.left+g.pad))
		g.b = w.call.Reply.Bytes()[w.start:]
		w.out, w.call.Reply = nil, xdr.Encoder{}
		c.send(g)
	default:
		if verdict == hangUp {
			c.hangUp()
		}
		c.giveSlots(1)
	}
}
