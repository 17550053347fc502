// Package depth keeps calls that cross gateways and come back from waiting for each other in a circle. Slots, in which
// requests are executed, are reserved by depth: what a client asks runs at depth 1, what that causes at another gateway at
// depth 2, and so on. A request of the last depth causes no further one, so its slots become free, so those of the depth before
// it do, and so on up: whatever waits, moves.
//
// It knows no network and no request; who takes a slot says at which depth he is.
package depth

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
)

// Max is the number of depths: how long the longest path of [Calls] is. A deeper call is a programming error.
const Max = 4

// Config sizes the pools.
type Config struct {
	Reserved   [Max]int // slots for each depth alone; default 256 each
	Unreserved int      // slots for whichever depth has none of its own left; default 256; -1: none
	// Together puts all slots into one pool for all depths. That is how gateways come to wait for each other for ever, and is
	// here to be shown by tests.
	Together bool
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	for i := range c.Reserved {
		switch {
		case c.Reserved[i] < 0:
			return fmt.Errorf("depth: Reserved[%d] is negative", i)
		case c.Reserved[i] == 0:
			c.Reserved[i] = 256
		}
	}
	switch {
	case c.Unreserved < -1:
		return errors.New("depth: Unreserved is less than -1")
	case c.Unreserved == 0:
		c.Unreserved = 256
	}
	return nil
}

// ErrTooDeep is the error of a call deeper than Max; ErrTooMany, of one operation that wants more slots than its depth has: it has
// to be cut into parts.
var (
	ErrTooDeep = errors.New("depth: a call that no path of the call graph leads to")
	ErrTooMany = errors.New("depth: more slots at once than are reserved for the depth")
)

// Pools are the slots of a gateway. All of them exist from the start, or New fails.
type Pools struct {
	mu     sync.Mutex
	levels [Max]level
	spare  int // unreserved slots that are free
	shared bool
}

// level is a depth's own slots and its queue.
type level struct {
	size, free int
	queue      list.List // of *waiter
	stats      Stats
}

// waiter is an operation that waits for slots.
type waiter struct {
	n     int
	own   int           // how many of the n are the level's own
	ready chan struct{} // closed when it has them
}

// Stats tell of one depth.
type Stats struct {
	Reserved int
	InUse    int    // slots, the level's own and others
	Waiting  int    // operations in the queue
	Taken    uint64 // operations that got slots since the start
	Borrowed uint64 // of these, with unreserved ones
	Queued   uint64 // of these, after waiting
}

// New reserves all slots.
func New(cfg Config) (*Pools, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Pools{spare: max(0, cfg.Unreserved), shared: cfg.Together}
	for i, n := range cfg.Reserved {
		l := &p.levels[i]
		if p.shared {
			l = &p.levels[0]
		}
		l.size, l.free = l.size+n, l.free+n
	}
	for i := range p.levels {
		p.levels[i].stats.Reserved = p.levels[i].size
	}
	return p, nil
}

// Slots are what an operation holds.
type Slots struct {
	pools *Pools
	level int
	n     int
	own   int
}

// Take takes n slots of a depth (1 is the first) at once, or waits for them in the depth's queue. Release must follow.
func (p *Pools) Take(ctx context.Context, depth, n int) (Slots, error) {
	if depth < 1 || depth > Max {
		return Slots{}, ErrTooDeep
	}
	at := depth - 1
	if p.shared {
		at = 0
	}
	l := &p.levels[at]
	if n < 1 || n > l.size {
		return Slots{}, ErrTooMany
	}
	p.mu.Lock()
	if l.queue.Len() == 0 {
		if own, ok := p.takeLocked(l, n); ok {
			p.mu.Unlock()
			return Slots{p, at, n, own}, nil
		}
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	place := l.queue.PushBack(w)
	l.stats.Queued++
	p.mu.Unlock()
	select {
	case <-w.ready:
		return Slots{p, at, n, w.own}, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	select {
	case <-w.ready: // meanwhile
		p.mu.Unlock()
		Slots{p, at, n, w.own}.Release()
		return Slots{}, ctx.Err()
	default:
	}
	l.queue.Remove(place)
	p.serveLocked(l) // who stood behind may want fewer
	p.mu.Unlock()
	return Slots{}, ctx.Err()
}

// TryTake takes a slot of a depth if one is free and nobody waits for it. Release must follow.
func (p *Pools) TryTake(depth int) (Slots, bool) {
	if depth < 1 || depth > Max {
		return Slots{}, false
	}
	at := depth - 1
	if p.shared {
		at = 0
	}
	l := &p.levels[at]
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.size < 1 || l.queue.Len() > 0 {
		return Slots{}, false
	}
	own, ok := p.takeLocked(l, 1)
	return Slots{p, at, 1, own}, ok
}

// takeLocked takes n slots: the level's own first, then unreserved ones.
func (p *Pools) takeLocked(l *level, n int) (own int, ok bool) {
	own = min(n, l.free)
	if n-own > p.spare {
		return 0, false
	}
	l.free -= own
	p.spare -= n - own
	l.stats.InUse += n
	l.stats.Taken++
	if own < n {
		l.stats.Borrowed++
	}
	return own, true
}

// serveLocked gives slots to those who wait at a level, in their order.
func (p *Pools) serveLocked(l *level) {
	for e := l.queue.Front(); e != nil; e = l.queue.Front() {
		w := e.Value.(*waiter)
		own, ok := p.takeLocked(l, w.n)
		if !ok {
			return
		}
		w.own = own
		l.queue.Remove(e)
		close(w.ready)
	}
}

// Release gives the slots back.
func (s Slots) Release() {
	p, l := s.pools, &s.pools.levels[s.level]
	p.mu.Lock()
	defer p.mu.Unlock()
	l.free += s.own
	p.spare += s.n - s.own
	l.stats.InUse -= s.n
	p.serveLocked(l)
	for i := Max - 1; i >= 0 && p.spare > 0; i-- { // deep ones first: others wait for them
		p.serveLocked(&p.levels[i])
	}
}

// Stats returns the state of each depth.
func (p *Pools) Stats() (s [Max]Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.levels {
		s[i] = p.levels[i].stats
		s[i].Waiting = p.levels[i].queue.Len()
	}
	return s
}
