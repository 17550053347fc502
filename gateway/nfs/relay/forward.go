package relay

import (
	"context"
	"sync"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// How often an owner is looked for, and whether he is still the owner while his answer is awaited, where nothing tells.
const (
	firstLook = 2 * time.Millisecond
	lastLook  = 50 * time.Millisecond
)

// attempt is what became of a call that was sent.
type attempt uint8

const (
	answered attempt = iota
	refused          // for certain not executed
	lost             // nobody knows
)

// forward finds the owner and has him answer, until there is an answer or the time is over.
func (h *Handler) forward(ctx context.Context, c *rpc.Call, v causeway.VolumeID) rpc.Verdict {
	within, cancel := context.WithTimeout(ctx, h.cfg.Wait)
	defer cancel()
	stats := &h.cfg.Peers.counts
	args, uncertain := c.Args, false
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		if pause > firstLook && c.Abandoned() {
			return rpc.Drop
		}
		changed := h.cfg.Changed()
		peer, epoch, local, ok := h.cfg.Owner(v)
		if ok {
			verdict, what := rpc.Drop, answered
			if local {
				c.Args = args
				verdict = h.cfg.Local.Handle(ctx, c)
			} else {
				verdict, what = h.try(within, c, v, peer, epoch)
			}
			switch {
			case what == answered && verdict == rpc.Drop && uncertain:
				// What we sent before is still being executed: its answer can be had in a moment.
			case what == answered:
				if !local {
					stats.forwarded.Add(1)
				}
				return verdict
			case what == lost:
				uncertain = true
			}
			stats.retried.Add(1)
		}
		if !sleep(within, pause, changed) {
			stats.refused.Add(1)
			c.Args = args
			return refuse(c, uncertain)
		}
	}
}

// sleep waits for a change of owners, at most d; false if the time is over.
func sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-t.C:
	}
	return ctx.Err() == nil
}

// try sends a call to one peer and waits for the answer, as long as he is the owner.
func (h *Handler) try(ctx context.Context, c *rpc.Call, v causeway.VolumeID, peer string, epoch causeway.Epoch) (rpc.Verdict, attempt) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := watch{changed: h.cfg.Changed(), look: time.NewTimer(lastLook)}
	defer w.look.Stop()
	w.over = func() bool {
		w.changed = h.cfg.Changed()
		is, now, local, ok := h.cfg.Owner(v)
		return ok && (local || is != peer || now != epoch)
	}
	return h.cfg.Peers.exchange(ctx, peer, request{kind: kindCall, epoch: epoch}, c, &w)
}

// watch tells when waiting for a peer has no sense any more.
type watch struct {
	changed <-chan struct{}
	look    *time.Timer
	over    func() bool
}

// wait waits for ready; false if it ended before, or has no sense any more.
func (w *watch) wait(ctx context.Context, ready <-chan struct{}) bool {
	for {
		select {
		case <-ready:
			return true
		case <-ctx.Done():
			return false
		case <-w.changed:
		case <-w.look.C:
			w.look.Reset(lastLook)
		}
		if w.over() {
			return false
		}
	}
}

// tellAll answers a call that names no volume, and lets every other gateway do the same: a client gives up its locks, or
// acknowledges one, and only some gateway knows what it means. The answer is ours; a peer that cannot be reached is left out.
func (h *Handler) tellAll(ctx context.Context, c *rpc.Call) rpc.Verdict {
	if !isClient(h.cfg.Catalog, c.Remote.Addr()) {
		return h.cfg.Local.Handle(ctx, c) // strangers do not make all gateways work
	}
	within, cancel := context.WithTimeout(ctx, min(h.cfg.Wait, tellWithin))
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, peer := range h.cfg.Peers.cfg.Others() {
		told := *c // Local reads c's arguments meanwhile
		told.Reply = xdr.Encoder{}
		told.Cred.Groups = append([]uint32(nil), c.Cred.Groups...)
		all.Go(func() {
			w := watch{look: time.NewTimer(tellWithin), over: func() bool { return false }}
			defer w.look.Stop()
			h.cfg.Peers.exchange(within, peer, request{kind: kindCall}, &told, &w)
		})
	}
	return h.cfg.Local.Handle(ctx, c)
}

// tellWithin is how long tellAll waits for others.
const tellWithin = 2 * time.Second
