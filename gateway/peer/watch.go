package peer

import (
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
)

// watcher gives up calls that wait for a gateway which no longer owns their volume. One goroutine looks for all of them, and only
// when a standing changes: a call that is answered at once costs two turns of a lock.
type watcher struct {
	mu    sync.Mutex
	calls map[*watched]struct{}
	runs  bool
}

type watched struct {
	volume causeway.VolumeID
	epoch  causeway.Epoch
	cancel func()
}

// straggle is how long the answer of a former owner, which it gave before it stopped, may still be under way.
const straggle = 100 * time.Millisecond

// watch gives a call up when its volume is open in another epoch than s's. The function that it returns ends that.
func (r *Router) watch(v causeway.VolumeID, s gateway.Standing, cancel func()) func() {
	w, call := &r.watcher, &watched{v, s.Epoch, cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = make(map[*watched]struct{})
	}
	w.calls[call] = struct{}{}
	if !w.runs && r.peers.start(r.lookout) {
		w.runs = true
	}
	return func() {
		w.mu.Lock()
		delete(w.calls, call)
		w.mu.Unlock()
	}
}

// lookout looks at all calls whenever a standing changes.
func (r *Router) lookout() {
	for {
		changed := r.table.Changed()
		for _, call := range r.outdated() {
			time.AfterFunc(straggle, call.cancel)
		}
		select {
		case <-changed:
		case <-r.peers.ctx.Done():
			return
		}
	}
}

func (r *Router) outdated() (list []*watched) {
	w := &r.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	for call := range w.calls {
		if now := r.table.Now(call.volume); now.Open && now.Epoch != call.epoch {
			list = append(list, call)
			delete(w.calls, call)
		}
	}
	return list
}
