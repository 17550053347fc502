package peer

import (
	"context"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/internal/sleep"
)

// watching is what clients of this gateway watch. The owner of a volume keeps a table of those who watch, which ends with its ownership: the
// next one is told anew, from here, and the client that it may have missed something.
type watching struct {
	mu   sync.Mutex
	list map[gateway.WatchID]*watchOf
	runs bool
	more chan struct{} // there may be something to be told
}

// watchOf is one watch, and the ownership in which it is known.
type watchOf struct {
	caller gateway.Caller
	dir    causeway.Handle
	filter gateway.NoticeFilter
	deep   bool
	epoch  causeway.Epoch
}

// begin remembers a watch. epoch is that of the ownership in which it was asked for, at the latest.
func (w *watching) begin(r *Router, c *gateway.Caller, id gateway.WatchID, x watchOf) {
	x.caller = gateway.Caller{Cred: c.Cred, Open: c.Open, Owner: c.Owner, Client: c.Client}
	x.caller.Cred.Groups = slices.Clone(c.Cred.Groups)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.list == nil {
		w.list, w.more = make(map[gateway.WatchID]*watchOf), make(chan struct{}, 1)
	}
	w.list[id] = &x
	if !w.runs && r.peers.start(r.rewatch) {
		w.runs = true
	}
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *watching) end(id gateway.WatchID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.list, id)
}

// outdated are the watches that the present owners of their volumes do not know, as far as there are owners.
func (w *watching) outdated(t Table) map[gateway.WatchID]watchOf {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make(map[gateway.WatchID]watchOf)
	for id, x := range w.list {
		if now := t.Now(x.dir.Volume); now.Open && now.Epoch != x.epoch {
			next := *x
			next.epoch = now.Epoch
			list[id] = next
		}
	}
	return list
}

// known notes that the owner of an epoch knows a watch; false if it has ended meanwhile.
func (w *watching) known(id gateway.WatchID, e causeway.Epoch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.list[id]
	if x != nil {
		x.epoch = e
	}
	return x != nil
}

// rewatch tells new owners what is watched, until the gateway ends.
func (r *Router) rewatch() {
	for ctx := r.peers.ctx; ctx.Err() == nil; {
		changed := r.table.Changed()
		if list := r.watching.outdated(r.table); len(list) > 0 {
			r.rewatchAll(ctx, list)
			sleep.For(ctx, 10*time.Millisecond) // for what could not be told
			continue
		}
		select {
		case <-changed:
		case <-r.watching.more:
		case <-ctx.Done():
		}
	}
}

// maxRewatch bounds how many watches are told at a time.
const maxRewatch = 16

func (r *Router) rewatchAll(ctx context.Context, list map[gateway.WatchID]watchOf) {
	var running sync.WaitGroup
	slots := make(chan struct{}, maxRewatch)
	for id, x := range list {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			err := r.askWatch(ctx, &x.caller, x.dir, id, x.filter, x.deep)
			if causeway.CodeOf(err) == causeway.ErrDelay || ctx.Err() != nil {
				return
			}
			// What cannot be watched any more is gone; its client sees that when it looks.
			if !r.watching.known(id, x.epoch) && err == nil {
				_ = r.askUnwatch(ctx, x.dir, id)
				return
			}
			_ = r.peers.events.deliver(ctx, gateway.Event{Kind: gateway.Noticed, Watch: id, Missed: true})
		})
	}
	running.Wait()
}
