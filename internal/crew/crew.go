// Package crew has goroutines that wait for more to do when they have done something: a new one would have to grow its stack first.
package crew

import "sync"

// Crew may be used by many goroutines.
type Crew struct {
	idle  chan func()
	spare chan struct{} // holds one per goroutine that waits
	ended <-chan struct{}
}

// New returns a crew of which up to spare goroutines wait for something to do, until ended is closed.
func New(spare int, ended <-chan struct{}) Crew {
	return Crew{idle: make(chan func()), spare: make(chan struct{}, spare), ended: ended}
}

// Do runs f on another goroutine, which owner waits for, also while it is idle. It does not wait.
func (c *Crew) Do(owner *sync.WaitGroup, f func()) {
	select {
	case c.idle <- f:
	default:
		owner.Go(func() { c.work(f) })
	}
}

func (c *Crew) work(f func()) {
	for {
		f()
		select {
		case c.spare <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-c.idle:
		case <-c.ended:
			return
		}
		<-c.spare
	}
}
