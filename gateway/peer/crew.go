package peer

import "sync"

// crew is goroutines that wait for more to do when they have done something: a new one would have to grow its stack first.
type crew struct {
	idle  chan func()
	spare chan struct{} // holds one per goroutine that waits
	ended chan struct{}
}

// maxSpare is how many goroutines of a session wait for something to do.
const maxSpare = 32

func newCrew(ended chan struct{}) crew {
	return crew{idle: make(chan func()), spare: make(chan struct{}, maxSpare), ended: ended}
}

// do runs f on another goroutine, which owner waits for. It does not wait.
func (w *crew) do(owner *sync.WaitGroup, f func()) {
	select {
	case w.idle <- f:
	default:
		owner.Go(func() { w.work(f) })
	}
}

func (w *crew) work(f func()) {
	for {
		f()
		select {
		case w.spare <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-w.idle:
		case <-w.ended:
			return
		}
		<-w.spare
	}
}
