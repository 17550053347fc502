package rpc

import "sync"

// waker is somebody who waits for a gate. wake must not block, and may be called without need. Whoever may not take what he was
// woken for must call next.
type waker interface{ wake(g *gate) }

// gate bounds how much of something is taken: calls, bytes. Who is refused is woken when some was given back, and tries again.
type gate struct {
	mu      sync.Mutex
	max     int64
	taken   int64
	waiting []waiter // in the order in which they came
}

// waiter is a waker and what it wants.
type waiter struct {
	waker
	n int64
}

// take takes n, or refuses and keeps w, if it is not nil, to be woken once.
func (g *gate) take(n int64, w waker) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	// What is larger than the gate passes alone, so that it cannot wait for ever.
	if g.taken+n <= g.max || g.taken == 0 {
		g.taken += n
		return true
	}
	if w != nil {
		g.waiting = append(g.waiting, waiter{w, n})
	}
	return false
}

// force takes n over the bound.
func (g *gate) force(n int64) {
	g.mu.Lock()
	g.taken += n
	g.mu.Unlock()
}

// give gives n back, and wakes those who may find what they want now.
func (g *gate) give(n int64) {
	g.mu.Lock()
	g.taken -= n
	g.wakeLocked()
}

// next wakes those who may find what they want now.
func (g *gate) next() {
	g.mu.Lock()
	g.wakeLocked()
}

// wakeLocked unlocks mu.
func (g *gate) wakeLocked() {
	woken := g.fitLocked()
	g.mu.Unlock()
	for _, w := range woken {
		w.wake(g)
	}
}

// fitLocked takes off the waiters for whom there is room, the first one in any case where nothing is taken.
func (g *gate) fitLocked() []waiter {
	room, n := g.max-g.taken, 0
	for n < len(g.waiting) && (g.waiting[n].n <= room || g.taken == 0 && n == 0) {
		room -= g.waiting[n].n
		n++
	}
	if n == 0 {
		return nil
	}
	woken := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; len(g.waiting) == 0 {
		g.waiting = nil
	}
	return woken
}

// now returns how much is taken.
func (g *gate) now() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

// signal is a waker for goroutines.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) wake(*gate) {
	select {
	case s <- struct{}{}:
	default:
	}
}
