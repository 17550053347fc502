package rpc

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// turns keep the repetitions of a client's call behind the call, over whatever connection they come: a call that waits for long is sent
// again, and if both were to run when the waiting ends, one could be answered, and the other be done after what the client does next: an
// old WRITE over a newer one. Only calls that wait are here; the zero turns are ready.
type turns struct {
	waiting atomic.Int32 // calls in goroutines, so that others look no further where there are none
	mu      sync.Mutex
	calls   map[uint64]*waited // the latest of each
}

// waited is a call that runs in a goroutine.
type waited struct {
	conn  *conn
	ended chan struct{} // closed then
}

var turnSeed = maphash.MakeSeed()

// turnHead is how much of a record tells calls apart: two that differ behind it have the same transaction id by chance, and only wait.
const turnHead = 512

func turnKey(record []byte) uint64 {
	return maphash.Bytes(turnSeed, record[:min(len(record), turnHead)])
}

// busy reports whether the same call, of another connection than c, waits or runs in a goroutine.
func (t *turns) busy(c *conn, record []byte) bool {
	if t.waiting.Load() == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	earlier := t.calls[turnKey(record)]
	return earlier != nil && earlier.conn != c
}

// take returns what has to end before the call may run, nil for nothing, and what must be called at its end.
func (t *turns) take(c *conn, record []byte) (before <-chan struct{}, end func()) {
	key, this := turnKey(record), &waited{conn: c, ended: make(chan struct{})}
	t.waiting.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls == nil {
		t.calls = make(map[uint64]*waited)
	}
	if earlier := t.calls[key]; earlier != nil && earlier.conn != c {
		before = earlier.ended
	}
	t.calls[key] = this
	return before, func() {
		t.mu.Lock()
		if t.calls[key] == this {
			delete(t.calls, key)
		}
		t.mu.Unlock()
		t.waiting.Add(-1)
		close(this.ended)
	}
}

// turn lets the call run when those that it repeats have ended; false if its sender has gone meanwhile.
func (p *parked) turn(before <-chan struct{}) bool {
	if before == nil {
		return true
	}
	c := p.conn
	select {
	case <-before:
	case <-c.srv.ctx.Done():
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.readerDone && !c.broken
}
