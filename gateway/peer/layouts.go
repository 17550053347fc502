package peer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// Grant implements gateway.Layouts. The epoch of the ownership that answers is filled in where the caller believes in none.
func (r *Router) Grant(ctx context.Context, s *gateway.GrantSpec) (g gateway.GrantReply, err error) {
	err = r.route(ctx, &asked{
		volume: s.Handle.Volume, noWait: s.NoWait, epoch: s.Epoch,
		local: func() (err error) {
			g, err = r.local.Grant(ctx, s)
			return err
		},
		remote: func() *peerpb.Request { return wire.Grant(s) },
		accept: func(m *peerpb.Reply) (err error) {
			g, err = wire.GrantReply(m, s.Handle.Volume)
			return err
		},
	})
	return g, err
}

// Renew implements gateway.Layouts. holder is told by the network where the owner is another gateway.
func (r *Router) Renew(ctx context.Context, holder string, e causeway.Epoch, held []gateway.Held) (ended []gateway.Held, err error) {
	if len(held) == 0 {
		return nil, nil
	}
	v := held[0].Handle.Volume
	err = r.route(ctx, &asked{
		volume: v, epoch: e,
		local: func() (err error) {
			ended, err = r.local.Renew(ctx, holder, e, held)
			return err
		},
		remote: func() *peerpb.Request { return wire.Held(peerpb.Op_RENEW, v, held, nil) },
		accept: func(m *peerpb.Reply) (err error) {
			ended, err = wire.HeldOf(m, v)
			return err
		},
	})
	return ended, err
}

// Commit implements gateway.Layouts.
func (r *Router) Commit(ctx context.Context, holder string, e causeway.Epoch, held gateway.Held, c *gateway.Commit) error {
	return r.settle(ctx, peerpb.Op_COMMIT, e, held, c, func() error { return r.local.Commit(ctx, holder, e, held, c) })
}

// Return implements gateway.Layouts.
func (r *Router) Return(ctx context.Context, holder string, e causeway.Epoch, held gateway.Held, c *gateway.Commit) error {
	return r.settle(ctx, peerpb.Op_RETURN, e, held, c, func() error { return r.local.Return(ctx, holder, e, held, c) })
}

func (r *Router) settle(ctx context.Context, op peerpb.Op, e causeway.Epoch, held gateway.Held, c *gateway.Commit, local func() error) error {
	return r.route(ctx, &asked{
		volume: held.Handle.Volume, epoch: e, local: local, accept: wire.Error,
		remote: func() *peerpb.Request { return wire.Held(op, held.Handle.Volume, []gateway.Held{held}, c) },
	})
}
