package smb

import (
	"context"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/gateway/smb/ntstatus"
	"causeway/internal/sleep"
)

// interimAfter is how long a request may wait for others, for holders of leases above all, before its client is told that the reply
// comes later ([MS-SMB2] 3.3.4.2).
const interimAfter = 5 * time.Millisecond

// patience is the wait of an element in a goroutine: its client can cancel it, and hears of it when it takes long.
type patience struct {
	m      *message
	p      *pending
	cancel context.CancelFunc
	alarm  *alarm

	mu   sync.Mutex
	over bool
	told bool
}

// patiently begins a call of the engines that may wait for others. The handler leaves the reply alone until it has called end of
// what is returned. An element that is not the last of its compound waits without a word.
func (m *message) patiently() (context.Context, *patience) {
	c := m.conn
	if m.reader || len(m.rest) > 0 {
		return c.ctx, nil
	}
	base := c.ctx
	w := &patience{m: m, p: &pending{message: m.h.MessageID, conn: c, open: m.open, request: m.h.Command, reply: m}}
	if m.claim != nil && !c.stopping.Load() {
		base, w.p.over = c.srv.ctx, m.claim.over
	}
	ctx, cancel := context.WithCancel(base)
	w.cancel = cancel
	w.p.stop = cancel
	c.mu.Lock()
	c.asyncs++
	w.p.id = c.asyncs
	c.pending[w.p.id] = w.p
	if c.inFlight[m.h.MessageID] {
		w.p.complete, w.p.status = true, ntstatus.Cancelled
		cancel()
	}
	c.mu.Unlock()
	m.waits = ctx
	w.alarm = c.srv.alarms.after(interimAfter, w.tell)
	return ctx, w
}

// end ends the wait. What it returns is the call's error, unless the client or the end of its open has cancelled the call.
func (w *patience) end(err error) error {
	if w == nil {
		return err
	}
	w.alarm.stop()
	w.mu.Lock()
	w.over = true
	told := w.told
	w.mu.Unlock()
	w.cancel()
	c := w.m.conn
	c.mu.Lock()
	delete(c.pending, w.p.id)
	c.mu.Unlock()
	if told {
		w.m.wait, w.m.final = w.p, true
		if len(w.m.elements) == 0 {
			w.m.startElement()
		}
	}
	if status, stopped := w.p.stopped(); stopped && err != nil {
		return status
	}
	return err
}

// tell sends the interim reply, and before it what the compound has answered so far.
func (w *patience) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.told = true
	m := w.m
	interim := newMessage(m.conn, nil)
	interim.reader, interim.sealed, interim.request = false, m.sealed, m.request
	interim.wait, interim.counted = w.p, counted{}
	if n := len(m.elements) - 1; n > 0 {
		interim.hold, interim.b, interim.elements = m.hold, m.b[:m.at()], slices.Clone(m.elements[:n])
		m.hold, m.b, m.elements = nil, nil, m.few[:0]
	}
	interim.startElement()
	interim.finishElement(ntstatus.Pending)
	interim.finish()
}

// servedWithin is for how long bytes are asked for again that no gateway can move now: a volume changes its administrator in less.
const servedWithin = 10 * time.Second

// served moves bytes as soon as somebody can. NFS clients are told to try later; SMB has no status that its clients take for that.
func (m *message) served(ctx context.Context, do func() error) error {
	for until := time.Now().Add(servedWithin); ; {
		err := do()
		if causeway.CodeOf(err) != causeway.ErrDelay || time.Now().After(until) {
			return err
		}
		if wait := m.mayWait(); wait != nil {
			return wait
		}
		if !sleep.For(ctx, lookAgain) {
			return err
		}
	}
}
