package rpc

import (
	"sync/atomic"
	"time"

	"causeway/gateway/nfs/xdr"
	"causeway/internal/buf"
)

// Held is the reply of a call that was carried out but may not be answered yet: what it changed is not on stable storage. The call
// ran inline, and nobody waits in a goroutine for it; whoever makes it stable sends the reply, often many at once.
type Held struct {
	conn  *conn
	call  Call // what the observer is told
	began time.Duration
	in    int
	fail  func(*xdr.Encoder)
	mute  bool // it is never answered

	state atomic.Uint32 // how many of Send and attach have happened; the second one sends
	out   *buf.Buffer
	n     int
}

// MayHold reports whether the reply of this call may be held, and takes the place that it needs. Only inline calls can: others may
// wait.
func (c *Call) MayHold() bool {
	w := c.worker
	if !c.NoWait || w == nil || w.holds || !w.conn.Load().takeSlot(nil) {
		return false
	}
	w.holds = true
	return true
}

// Hold makes the reply under way a held one; MayHold has allowed it. The program ends it as always and returns Done; Send or
// Fail must follow, now or later.
func (c *Call) Hold() *Held {
	h := &Held{conn: c.worker.conn.Load(), call: Call{Prog: c.Prog, Vers: c.Vers, Proc: c.Proc, XID: c.XID}}
	c.worker.held = h
	return h
}

// Send sends the reply.
func (h *Held) Send() {
	if h.state.Add(1) == 2 {
		h.send()
	}
}

// Fail is Send with another result, which result writes.
func (h *Held) Fail(result func(*xdr.Encoder)) {
	h.fail = result
	h.Send()
}

// HangUp is instead of Send: nobody can say what became of the call. Its connection ends when the other replies under way are sent, so that
// the client makes the call again.
func (h *Held) HangUp() {
	h.mute = true
	h.Send()
}

// settleHeld is called when the worker's call has ended: it gives back a place that was not used, or hands the reply over. It
// reports whether the reply is held.
func (w *worker) settleHeld(c *conn, v Verdict, began time.Duration, in int) bool {
	if !w.holds {
		return false
	}
	w.holds = false
	h := w.held
	w.held = nil
	if h == nil {
		c.giveSlots(1)
		return false
	}
	b := w.call.Reply.Bytes()[w.start:]
	h.out = w.srv.pool.Get(len(b))
	h.n = copy(h.out.B, b)
	h.began, h.in = began, in
	w.call.Reply.Truncate(w.start)
	if v != Done {
		h.n = 0 // there is nothing to send after all
	}
	if h.state.Add(1) == 2 {
		h.send()
	}
	return true
}

func (h *Held) send() {
	c := h.conn
	if h.n == 0 || h.mute {
		h.out.Release()
		c.giveSlots(1)
		if h.mute {
			c.hangUp()
		}
		return
	}
	e := xdr.NewEncoder(h.out.B[:h.n])
	if h.fail != nil {
		e.Truncate(markSize)
		accept(&e, h.call.XID, acceptSuccess)
		h.fail(&e)
	}
	b := e.Bytes()
	e.PatchUint32(0, lastFragment|uint32(len(b)-markSize))
	if c.srv.cfg.Observer != nil {
		c.srv.observe(&h.call, Done, h.began, h.in, len(b)-markSize)
	}
	g := segment{b: b, own: h.out, slots: 1}
	if _, waits := c.port.(*netPort); !waits {
		c.send(g)
		return
	}
	// Writes wait there, and whoever sends this sends many: one client that does not read must not hold up the others.
	c.srv.running.Add(1) // before this reply's place is given back, so the server still waits
	go func() {
		defer c.srv.running.Done()
		c.send(g)
	}()
}
