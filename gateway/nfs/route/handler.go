package route

import (
	"context"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
)

// Handler lets a program's calls in when their volumes are open.
type Handler struct {
	Table *Table
	Local rpc.Handler // answers here
	// Away answers calls whose volume went elsewhere while they waited here. nil: they get no answer.
	Away rpc.Handler
	// Volume returns the volume that a call is about, by its arguments; false if it is about none, or cannot be understood: the
	// call is answered here then.
	Volume func(c *rpc.Call) (causeway.VolumeID, bool)
}

var _ rpc.Handler = Handler{}

// Handle answers a call when its volume is open.
func (h Handler) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	id, ok := h.Volume(c)
	if !ok {
		return h.Local.Handle(ctx, c)
	}
	v, patience := h.Table.volume(id), time.Time{}
	for {
		verdict, wait := h.try(ctx, c, v)
		if wait == nil {
			return verdict
		}
		if c.NoWait {
			return rpc.Park
		}
		if patience.IsZero() {
			patience = time.Now().Add(h.Table.cfg.Patience)
		}
		if await(ctx, wait); ctx.Err() != nil || time.Now().After(patience) || c.Abandoned() {
			return rpc.Drop
		}
	}
}

// try answers a call if that is possible now. Otherwise it returns what has to change first.
func (h Handler) try(ctx context.Context, c *rpc.Call, v *volume) (rpc.Verdict, <-chan struct{}) {
	pass := v.gate.Enter() // before the standing is looked at, so that who closes waits for this call
	s := v.now.Load()
	if s.Open && s.Here {
		defer pass.Leave()
		return h.here(ctx, c, s)
	}
	pass.Leave()
	switch {
	case !s.Open:
		return 0, s.changed
	case c.NoWait:
		return rpc.Park, nil
	case h.Away == nil:
		return rpc.Drop, nil
	}
	return h.Away.Handle(ctx, c), nil
}

// here answers, unless the gateway may no longer: then the volume is about to be closed, and the client must not see what was done.
func (h Handler) here(ctx context.Context, c *rpc.Call, s *standing) (rpc.Verdict, <-chan struct{}) {
	if !h.Table.cfg.Valid() {
		return 0, s.changed
	}
	verdict := h.Local.Handle(ctx, c)
	if verdict == rpc.Done && !h.Table.cfg.Valid() {
		return rpc.Drop, nil
	}
	return verdict, nil
}

// tryAgain is when a call is tried again without any news: the lease may have been prolonged.
const tryAgain = 200 * time.Millisecond

// await waits for a change, or until it is worth to try without one.
func await(ctx context.Context, changed <-chan struct{}) {
	timer := time.NewTimer(tryAgain)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
}
