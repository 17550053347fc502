package peer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// execute does what another gateway asks, in a slot of its depth.
func (p *Peers) execute(ctx context.Context, from string, r *peerpb.Request) *peerpb.Reply {
	if r.Depth < 2 || r.Depth > depth.Max {
		p.cfg.Log.Error("a request of a depth that the call graph does not have", "node", from, "op", r.Op.String())
		return wire.Failed(causeway.ErrServerFault)
	}
	if err := p.timely(from, r); err != nil {
		return wire.Failed(err)
	}
	if r.Op == peerpb.Op_KEEP { // waits for nothing, so it needs no slot
		p.counts.served.Add(1)
		return p.keep(r.Batch)
	}
	slots, err := p.slots.Take(ctx, int(r.Depth), 1)
	if err != nil {
		return wire.Failed(causeway.ErrDelay) // its sender has given it up
	}
	defer slots.Release()
	p.counts.served.Add(1)
	ctx = depth.With(ctx, int(r.Depth))
	if wire.Changes(r.Op) && r.Op != peerpb.Op_OPEN { // from here on, giving up would leave it half done; an open may wait for long
		ctx = context.WithoutCancel(ctx)
	}
	switch r.Op {
	case peerpb.Op_RECALL, peerpb.Op_REASSERT, peerpb.Op_EVENT:
		return p.hold(ctx, r)
	case peerpb.Op_RELEASE_CLIENT, peerpb.Op_LOCKS:
		return wire.Serve(ctx, p.services.Access, p.services.Stateful, from, r)
	}
	return p.administer(ctx, from, r)
}

// colleague is another gateway, whose requests are executed here.
type colleague struct {
	*Peers
	node string
}

func (w colleague) execute(ctx context.Context, r *peerpb.Request) *peerpb.Reply {
	return w.Peers.execute(ctx, w.node, r)
}

// begin makes a change if nothing has to be waited for before, and leaves the waiting after it to a round.
func (w colleague) begin(ctx context.Context, r *peerpb.Request) (h held, ok bool) {
	p := w.Peers
	v := causeway.VolumeID(r.Volume)
	if r.Depth != requestDepth || p.timely(w.node, r) != nil || !p.cfg.Known(v) {
		return h, false
	}
	if h.slots, ok = p.slots.TryTake(requestDepth); !ok {
		return h, false
	}
	s, pass := p.cfg.Table.Enter(v)
	h.inside = pass
	defer func() {
		if h.later.Volume == 0 {
			h.slots.Release()
			pass.Leave()
		}
	}()
	if !s.Open || !s.Here || s.Epoch != wire.Epoch(r.Epoch) || !p.cfg.Table.Valid() {
		return h, false
	}
	if h.reply, ok = wire.Begin(depth.With(ctx, requestDepth), p.services.Access, w.node, r, &h.later); !ok {
		return h, false
	}
	p.counts.served.Add(1)
	if h.later.Volume == 0 && !p.cfg.Table.Valid() {
		h.reply = wire.Failed(gateway.ErrUnknown)
	}
	return h, true
}

// timely refuses what a gateway has sent before it was cut off, or without being a member. Who has joined a moment ago may be known here a
// moment later: its client must not hear that it may not do something.
func (p *Peers) timely(from string, r *peerpb.Request) error {
	if joining, ok := p.cfg.Member(from); !ok || joining != r.Joining {
		p.counts.stale.Add(1)
		return causeway.ErrStaleEpoch
	}
	return nil
}

// administer executes what is for the owner of a volume, if this gateway is that, in the epoch that is meant.
func (p *Peers) administer(ctx context.Context, from string, r *peerpb.Request) *peerpb.Reply {
	v := causeway.VolumeID(r.Volume)
	if !p.cfg.Known(v) { // the table remembers whatever it is asked about
		return wire.Failed(causeway.ErrStaleEpoch)
	}
	s, pass := p.cfg.Table.Enter(v)
	defer pass.Leave()
	if !s.Open || !s.Here || s.Epoch != wire.Epoch(r.Epoch) || !p.cfg.Table.Valid() {
		p.counts.stale.Add(1)
		return wire.Failed(causeway.ErrStaleEpoch)
	}
	life := p.cfg.Table.Life()
	reply := wire.Serve(ctx, p.services.Access, p.services.Stateful, from, r)
	switch {
	case p.cfg.Table.Valid() && life == p.cfg.Table.Life():
		return reply
	case wire.Repeatable(r):
		return wire.Failed(causeway.ErrStaleEpoch)
	}
	return wire.Failed(gateway.ErrUnknown)
}

// hold executes what an administrative gateway asks of those that hold or wait for something.
func (p *Peers) hold(ctx context.Context, r *peerpb.Request) *peerpb.Reply {
	v, e := causeway.VolumeID(r.Volume), wire.Epoch(r.Epoch)
	if any := v == 0 && r.Op == peerpb.Op_EVENT; !any && (!p.cfg.Known(v) || e.Before(p.cfg.Table.Now(v).Epoch)) {
		p.counts.stale.Add(1)
		return wire.Failed(causeway.ErrStaleEpoch)
	}
	holder := p.services.Holder
	switch {
	case r.Op == peerpb.Op_EVENT:
		event, err := wire.EventOf(r)
		if err == nil {
			err = p.events.deliver(ctx, event)
		}
		return wire.Failed(err)
	case holder == nil:
		return wire.Failed(nil)
	case r.Op == peerpb.Op_REASSERT:
		return wire.HeldReply(holder.Reassert(ctx, v, e))
	}
	what, err := wire.RecallOf(r)
	if err != nil {
		return wire.Failed(err)
	}
	commit, err := holder.Recall(ctx, &what)
	return wire.CommitReply(&commit, err)
}
