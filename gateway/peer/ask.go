package peer

import (
	"context"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// ask sends a request to the gateway that administers its volume.
func (p *Peers) ask(ctx context.Context, node string, r *peerpb.Request) (*peerpb.Reply, error) {
	if err := p.prepare(ctx, r); err != nil {
		return nil, err
	}
	k := p.link(node)
	if k == nil {
		return nil, errUnsent
	}
	return k.ask(ctx, r)
}

// tell sends a request to a gateway that holds or waits for something: in the session in which it asked for that, if there is one.
func (p *Peers) tell(ctx context.Context, node string, r *peerpb.Request) (*peerpb.Reply, error) {
	if err := p.prepare(ctx, r); err != nil {
		return nil, err
	}
	c := p.talks(node)
	if c == nil {
		return nil, errUnsent
	}
	return c.ask(ctx, r)
}

// talks returns the session in which a gateway is told something; nil after Close.
func (p *Peers) talks(node string) *conduit {
	p.mu.Lock()
	s := p.sessions[node]
	p.mu.Unlock()
	if s != nil && !p.dead(node, s) {
		return s.conduit
	}
	if k := p.link(node); k != nil {
		return k.state.Load().conduit
	}
	return nil
}

// dead reports whether a session is of a process that was replaced: nobody will carry it again, and the new one may have nothing to ask.
func (p *Peers) dead(node string, s *session) bool {
	joining, member := p.cfg.Member(node)
	return member && joining != s.joining.Load() && !s.carried()
}

func (p *Peers) prepare(ctx context.Context, r *peerpb.Request) error {
	if r.Depth = uint32(depth.At(ctx) + 1); r.Depth > depth.Max {
		return p.tooDeep(r)
	}
	if end, ok := ctx.Deadline(); ok {
		r.TimeoutMs = uint32(max(1, min(time.Until(end).Milliseconds(), 1<<31)))
	}
	r.Joining = p.cfg.Joining()
	p.counts.asked.Add(1)
	return nil
}

// tooDeep tells of a call that the call graph does not have: a mistake in the program.
func (p *Peers) tooDeep(r *peerpb.Request) error {
	if p.cfg.Strict {
		panic(depth.ErrTooDeep)
	}
	p.cfg.Log.Error("a call between gateways that the call graph does not have", "op", r.Op.String(), "err", depth.ErrTooDeep)
	return &causeway.Error{Op: "peer", Code: causeway.ErrServerFault, Err: depth.ErrTooDeep}
}

// Recall implements gateway.Holders.
func (p *Peers) Recall(ctx context.Context, node string, s *gateway.Recall) (gateway.Commit, error) {
	if node == p.cfg.Node || node == "" {
		if p.services.Holder == nil {
			return gateway.Commit{}, nil
		}
		return p.services.Holder.Recall(ctx, s)
	}
	reply, err := p.tell(ctx, node, wire.Recall(s))
	if err != nil {
		return gateway.Commit{}, noAnswer(err)
	}
	return wire.CommitOf(reply)
}

// Reassert asks a gateway what it holds of a volume that this one owns now (gateway.Holder.Reassert).
func (p *Peers) Reassert(ctx context.Context, node string, v causeway.VolumeID, e causeway.Epoch) ([]gateway.Held, error) {
	r := &peerpb.Request{Op: peerpb.Op_REASSERT, Volume: uint64(v)}
	wire.SetEpoch(r, e)
	reply, err := p.tell(ctx, node, r)
	if err != nil {
		return nil, noAnswer(err)
	}
	return wire.HeldOf(reply, v)
}

// noAnswer is what becomes of a call that got no reply.
func noAnswer(err error) error {
	return &causeway.Error{Op: "peer", Code: causeway.ErrDelay, Err: err}
}
