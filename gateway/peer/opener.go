package peer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

var _ gateway.Stateful = (*Router)(nil)

// opening is what all calls for protocols that open have in common. Where no such protocol is served they are ErrNotSupp.
func (r *Router) opening(ctx context.Context, c *gateway.Caller, v causeway.VolumeID, local func(gateway.Stateful) error, remote func() *peerpb.Request, accept func(*peerpb.Reply) error) error {
	return r.route(ctx, &asked{volume: v, noWait: c.NoWait, op: c.Op, life: c.Life, remote: remote, accept: accept, local: func() error {
		s := r.peers.services.Stateful
		if s == nil {
			return causeway.ErrNotSupp
		}
		return local(s)
	}})
}

// Open implements gateway.Opener.
func (r *Router) Open(ctx context.Context, c *gateway.Caller, h causeway.Handle, spec *gateway.OpenSpec) (o gateway.Opened, err error) {
	err = r.opening(ctx, c, h.Volume, func(s gateway.Stateful) (err error) {
		o, err = s.Open(ctx, c, h, spec)
		return err
	}, func() *peerpb.Request { return wire.Open(c, h, spec) }, func(m *peerpb.Reply) (err error) {
		o, err = wire.OpenedOf(m, h.Volume)
		return err
	})
	return o, err
}

// Reconnect implements gateway.Opener.
func (r *Router) Reconnect(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID, guid [16]byte, lease causeway.LeaseID) (o gateway.Opened, err error) {
	err = r.opening(ctx, c, h.Volume, func(s gateway.Stateful) (err error) {
		o, err = s.Reconnect(ctx, c, h, id, guid, lease)
		return err
	}, func() *peerpb.Request {
		m := wire.Lease(peerpb.Op_RECONNECT, c, h, lease)
		m.Id, m.Guid = id[:], guid[:]
		return m
	}, func(m *peerpb.Reply) (err error) {
		o, err = wire.OpenedOf(m, h.Volume)
		return err
	})
	return o, err
}

// Disconnect implements gateway.Opener.
func (r *Router) Disconnect(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) error {
	return r.opening(ctx, c, h.Volume, func(s gateway.Stateful) error { return s.Disconnect(ctx, c, h, id) },
		func() *peerpb.Request { return wire.OpenID(peerpb.Op_DISCONNECT, c, h, id) }, wire.Error)
}

// Downgrade implements gateway.Opener.
func (r *Router) Downgrade(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID, access causeway.AccessMask, share causeway.Sharing) error {
	return r.opening(ctx, c, h.Volume, func(s gateway.Stateful) error { return s.Downgrade(ctx, c, h, id, access, share) },
		func() *peerpb.Request {
			m := wire.OpenID(peerpb.Op_DOWNGRADE, c, h, id)
			m.Arg, m.Share = uint32(access), uint32(share)
			return m
		}, wire.Error)
}

// SetDelete implements gateway.Opener.
func (r *Router) SetDelete(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID, on bool) error {
	return r.opening(ctx, c, h.Volume, func(s gateway.Stateful) error { return s.SetDelete(ctx, c, h, id, on) },
		func() *peerpb.Request {
			m := wire.OpenID(peerpb.Op_SET_DELETE, c, h, id)
			m.Flag = on
			return m
		}, wire.Error)
}

// Close implements gateway.Opener.
func (r *Router) Close(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) (removed bool, err error) {
	err = r.opening(ctx, c, h.Volume, func(s gateway.Stateful) (err error) {
		removed, err = s.Close(ctx, c, h, id)
		return err
	}, func() *peerpb.Request { return wire.OpenID(peerpb.Op_CLOSE, c, h, id) }, func(m *peerpb.Reply) error {
		removed = m.Removed
		return wire.Error(m)
	})
	return removed, err
}

// Acknowledge implements gateway.Opener.
func (r *Router) Acknowledge(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.LeaseID, caching causeway.Caching) (state gateway.LeaseState, err error) {
	err = r.opening(ctx, c, h.Volume, func(s gateway.Stateful) (err error) {
		state, err = s.Acknowledge(ctx, c, h, id, caching)
		return err
	}, func() *peerpb.Request {
		m := wire.Lease(peerpb.Op_ACKNOWLEDGE, c, h, id)
		m.Arg = uint32(caching)
		return m
	}, func(m *peerpb.Reply) (err error) {
		state, err = wire.LeaseOf(m)
		return err
	})
	return state, err
}

// Opens implements gateway.Opener.
func (r *Router) Opens(ctx context.Context, v causeway.VolumeID) (list []gateway.Opened, err error) {
	err = r.opening(ctx, &gateway.Caller{}, v, func(s gateway.Stateful) (err error) {
		list, err = s.Opens(ctx, v)
		return err
	}, func() *peerpb.Request { return &peerpb.Request{Op: peerpb.Op_OPENS, Volume: uint64(v)} }, func(m *peerpb.Reply) (err error) {
		list, err = wire.OpensOf(m, v)
		return err
	})
	return list, err
}

// Admit implements gateway.Guard.
func (r *Router) Admit(ctx context.Context, c *gateway.Caller, h causeway.Handle, span causeway.Span, write bool) error {
	return r.opening(ctx, c, h.Volume, func(s gateway.Stateful) error { return s.Admit(ctx, c, h, span, write) },
		func() *peerpb.Request {
			m := wire.About(peerpb.Op_ADMIT, c, h)
			wire.SetSpan(m, span)
			m.Flag = write
			return m
		}, wire.Error)
}

// Watch implements gateway.Watcher. The next owners of the volume are told too.
func (r *Router) Watch(ctx context.Context, c *gateway.Caller, dir causeway.Handle, id gateway.WatchID, filter gateway.NoticeFilter, deep bool) error {
	x := watchOf{dir: dir, filter: filter, deep: deep, epoch: r.table.Now(dir.Volume).Epoch} // at the latest
	err := r.askWatch(ctx, c, dir, id, filter, deep)
	if err == nil {
		r.watching.begin(r, c, id, x)
	}
	return err
}

func (r *Router) askWatch(ctx context.Context, c *gateway.Caller, dir causeway.Handle, id gateway.WatchID, filter gateway.NoticeFilter, deep bool) error {
	return r.opening(ctx, c, dir.Volume, func(s gateway.Stateful) error { return s.Watch(ctx, c, dir, id, filter, deep) },
		func() *peerpb.Request {
			m := wire.Watch(peerpb.Op_WATCH, c, dir, id)
			m.Arg, m.Flag = uint32(filter), deep
			return m
		}, wire.Error)
}

// Unwatch implements gateway.Watcher.
func (r *Router) Unwatch(ctx context.Context, dir causeway.Handle, id gateway.WatchID) error {
	r.watching.end(id)
	return r.askUnwatch(ctx, dir, id)
}

func (r *Router) askUnwatch(ctx context.Context, dir causeway.Handle, id gateway.WatchID) error {
	return r.opening(ctx, &gateway.Caller{}, dir.Volume, func(s gateway.Stateful) error { return s.Unwatch(ctx, dir, id) },
		func() *peerpb.Request { return wire.Watch(peerpb.Op_UNWATCH, nil, dir, id) }, wire.Error)
}
