package rpc

import "sync"

// waker is somebody who waits for a gate. wake must not block, and may be called without need.
type waker interface{ wake() }

// gate bounds how much of something is taken: calls, bytes. Who is refused is woken when some was given back, and tries again.
type gate struct {
	mu      sync.Mutex
	max     int64
	taken   int64
	waiting []waker
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
		g.waiting = append(g.waiting, w)
	}
	return false
}

// force takes n over the bound.
func (g *gate) force(n int64) {
	g.mu.Lock()
	g.taken += n
	g.mu.Unlock()
}

// give gives n back.
func (g *gate) give(n int64) {
	g.mu.Lock()
	g.taken -= n
	woken := g.waiting
	g.waiting = nil
	g.mu.Unlock()
	for _, w := range woken {
		w.wake()
	}
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

func (s signal) wake() {
	select {
	case s <- struct{}{}:
	default:
	}
}
