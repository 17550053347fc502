package route

import (
	"context"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
)

// Handler lets a program's calls in, one volume's after another's move.
type Handler struct {
	Table *Table
	Local rpc.Handler // answers here
	// Volume returns the volume that a call is about, by its arguments; false if it is about none, or cannot be understood: the
	// call is answered here then.
	Volume func(c *rpc.Call) (causeway.VolumeID, bool)
}

var _ rpc.Handler = Handler{}

// Handle answers a call here or elsewhere, when its volume is open.
func (h Handler) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	id, ok := h.Volume(c)
	if !ok {
		return h.Local.Handle(ctx, c)
	}
	v, patience := h.Table.volume(id), time.Time{}
	for {
		verdict, wait := h.try(ctx, c, id, v)
		if wait == nil {
			return verdict
		}
		if c.NoWait {
			return rpc.Park
		}
		if patience.IsZero() {
			patience = time.Now().Add(h.Table.cfg.Patience)
		}
		if await(ctx, wait); ctx.Err() != nil || time.Now().After(patience) {
			return rpc.Drop
		}
	}
}

// try answers a call if that is possible now. Otherwise it returns what has to change first.
func (h Handler) try(ctx context.Context, c *rpc.Call, id causeway.VolumeID, v *volume) (rpc.Verdict, <-chan struct{}) {
	pass := v.gate.Enter() // before the standing is looked at, so that who closes waits for this call
	defer pass.Leave()
	s := v.standing()
	switch {
	case !s.open:
		return 0, s.changed
	case s.here:
		return h.here(ctx, c, s)
	case c.NoWait:
		return rpc.Park, nil
	case h.Table.cfg.Away == nil:
		return rpc.Drop, nil
	}
	return h.there(ctx, c, id, s)
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

// there has another gateway answer. If that fails because the volume moves, the call is made again where it is then: the
// gateway that had it may have executed it, as with any retransmission.
func (h Handler) there(ctx context.Context, c *rpc.Call, id causeway.VolumeID, s *standing) (rpc.Verdict, <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(s.away, cancel)()
	defer cancel()
	start, args := c.Reply.Len(), c.Args
	verdict := h.Table.cfg.Away(ctx, c, id, s.node)
	if verdict != rpc.Drop {
		return verdict, nil
	}
	c.Reply.Truncate(start)
	c.Args = args
	return 0, s.changed
}

// tryAgain is when a call is made again without any news: the way to another gateway may have been broken for a moment.
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
