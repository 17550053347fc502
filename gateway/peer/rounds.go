package peer

import (
	"context"
	"sync"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/internal/gate"
)

// held is a change that was made, whose reply waits until it is stable and known to two gateways.
type held struct {
	conduit *conduit
	job     job
	reply   *peerpb.Reply
	later   gateway.Pending // of no volume: it waits for nothing
	slots   depth.Slots
	inside  gate.Pass // a change stays inside its volume until it is answered: it uses the storage
}

// rounds make changes stable that came from other gateways, and then send their replies: those of one volume that arrive while a round
// runs, from whichever gateway, share the next one.
type rounds struct {
	persist func(context.Context, causeway.VolumeID, ...causeway.ObjectID) error
	valid   func() bool // whether success may be told

	mu      sync.Mutex
	volumes map[causeway.VolumeID]*round // that have changes under way
}

type round struct{ waiting []held }

// add takes over changes of one volume. run tells the caller to call it, on a goroutine of its own; nil: another one does it.
func (r *rounds) add(made []held) (run func()) {
	v := made[0].later.Volume
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.volumes[v]
	if next == nil {
		next = &round{}
		r.volumes[v] = next
		run = func() { r.run(v, next) }
	}
	next.waiting = append(next.waiting, made...)
	return run
}

// run makes rounds until nothing waits.
func (r *rounds) run(v causeway.VolumeID, now *round) {
	ctx := depth.With(context.Background(), requestDepth)
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
		err := r.persist(ctx, v, objectsOf(list)...)
		if err == nil && !r.valid() {
			err = gateway.ErrUnknown
		}
		for i := range list {
			if err != nil {
				list[i].fail(err)
			}
			list[i].slots.Release()
			list[i].inside.Leave()
		}
		answerAll(list)
	}
}

// requestDepth is that of what a client caused at another gateway.
const requestDepth = 2

// answerAll sends the replies of each session together.
func answerAll(list []held) {
	for len(list) > 0 {
		to, mine, rest := list[0].conduit, list[:0:0], list[:0]
		for i := range list {
			if list[i].conduit == to {
				mine = append(mine, list[i])
			} else {
				rest = append(rest, list[i])
			}
		}
		to.answer(mine)
		list = rest
	}
}

// objectsOf returns the objects of all changes, each once.
func objectsOf(list []held) []causeway.ObjectID {
	seen := make(map[causeway.ObjectID]struct{}, len(list)+1)
	ids := make([]causeway.ObjectID, 0, len(list)+1)
	for i := range list {
		for _, id := range list[i].later.Objects {
			if _, again := seen[id]; !again && !id.IsZero() {
				seen[id] = struct{}{}
				ids = append(ids, id)
			}
		}
	}
	return ids
}
