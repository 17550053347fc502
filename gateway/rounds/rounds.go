// Package rounds makes changes stable together. The changes of one volume that arrive while others are made stable, from whichever
// front and from whichever gateway, share the next call of the engine: one sync and one second copy for all of them.
//
// What a change is, how it is answered and what keeps its volume open meanwhile is known to who hands it over.
package rounds

import (
	"context"
	"sync"

	"causeway"
	"causeway/gateway"
)

// Change is one or several changes of one volume that were made, and wait to be acknowledged.
type Change interface {
	// Pending appends the objects that may not be stable yet. Zero ids are skipped.
	Pending([]causeway.ObjectID) []causeway.ObjectID
	// End is called once: nil if all is stable. It must not wait for other changes.
	End(err error)
}

// Rounds has a goroutine for each volume that has changes under way. It may be used by many.
type Rounds struct {
	gateway.Persister

	mu      sync.Mutex
	volumes map[causeway.VolumeID]*round
}

type round struct{ waiting []Change }

// Of returns the rounds that p makes: p itself if it is Rounds, which several fronts then share.
func Of(p gateway.Persister) *Rounds {
	if r, ok := p.(*Rounds); ok {
		return r
	}
	return &Rounds{Persister: p, volumes: make(map[causeway.VolumeID]*round)}
}

// Add takes over a change. A round begins at once, or when the present one has ended.
func (r *Rounds) Add(v causeway.VolumeID, c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.volumes[v]
	if now == nil {
		now = &round{}
		r.volumes[v] = now
		go r.run(v, now) // ends when nothing waits; who hands changes over waits for their End
	}
	now.waiting = append(now.waiting, c)
}

// run makes rounds until nothing waits.
func (r *Rounds) run(v causeway.VolumeID, now *round) {
	var objects objects
	for {
		r.mu.Lock()
		list := now.waiting
		now.waiting = nil
		if len(list) == 0 {
			delete(r.volumes, v)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		err := r.Persist(context.Background(), v, objects.of(list)...)
		for _, c := range list {
			c.End(err)
		}
	}
}

// objects collects ids, each once.
type objects struct {
	all, once []causeway.ObjectID
	seen      map[causeway.ObjectID]struct{}
}

func (o *objects) of(list []Change) []causeway.ObjectID {
	o.all, o.once = o.all[:0], nil // the last list may still be read by who was handed it
	for _, c := range list {
		o.all = c.Pending(o.all)
	}
	if o.seen == nil {
		o.seen = make(map[causeway.ObjectID]struct{}, len(o.all))
	}
	clear(o.seen)
	for _, id := range o.all {
		if _, again := o.seen[id]; !again && !id.IsZero() {
			o.seen[id] = struct{}{}
			o.once = append(o.once, id)
		}
	}
	return o.once
}
