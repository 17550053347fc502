package peer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// Xattr implements gateway.Xattrs. Like other attributes it is read here, where that is as good as at the owner.
func (r *Router) Xattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string) (value []byte, err error) {
	err = r.xattr(ctx, c, h, true, func(s gateway.Stateful) (err error) {
		value, err = s.Xattr(ctx, c, h, name)
		return err
	}, func() *peerpb.Request { return wire.Xattr(peerpb.Op_XATTR, c, h, name, nil, 0) }, func(m *peerpb.Reply) (err error) {
		value, err = wire.XattrValue(m)
		return err
	})
	return value, err
}

// ListXattrs implements gateway.Xattrs.
func (r *Router) ListXattrs(ctx context.Context, c *gateway.Caller, h causeway.Handle) (names []string, err error) {
	err = r.xattr(ctx, c, h, true, func(s gateway.Stateful) (err error) {
		names, err = s.ListXattrs(ctx, c, h)
		return err
	}, func() *peerpb.Request { return wire.About(peerpb.Op_LIST_XATTRS, c, h) }, func(m *peerpb.Reply) (err error) {
		names, err = wire.XattrNames(m)
		return err
	})
	return names, err
}

// SetXattr implements gateway.Xattrs.
func (r *Router) SetXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string, value []byte, how causeway.XattrHow) (change causeway.Change, err error) {
	err = r.xattr(ctx, c, h, false, func(s gateway.Stateful) (err error) {
		change, err = s.SetXattr(ctx, c, h, name, value, how)
		return err
	}, func() *peerpb.Request { return wire.Xattr(peerpb.Op_SET_XATTR, c, h, name, value, how) }, func(m *peerpb.Reply) error {
		result, err := wire.ResultOf(m, h.Volume)
		change = result.Change
		return err
	})
	return change, err
}

// RemoveXattr implements gateway.Xattrs.
func (r *Router) RemoveXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string) (change causeway.Change, err error) {
	err = r.xattr(ctx, c, h, false, func(s gateway.Stateful) (err error) {
		change, err = s.RemoveXattr(ctx, c, h, name)
		return err
	}, func() *peerpb.Request { return wire.Xattr(peerpb.Op_REMOVE_XATTR, c, h, name, nil, 0) }, func(m *peerpb.Reply) error {
		result, err := wire.ResultOf(m, h.Volume)
		change = result.Change
		return err
	})
	return change, err
}

func (r *Router) xattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, near bool, local func(gateway.Stateful) error, remote func() *peerpb.Request, accept func(*peerpb.Reply) error) error {
	return r.route(ctx, &asked{volume: h.Volume, noWait: c.NoWait, near: near, op: c.Op, life: c.Life, remote: remote, accept: accept, local: func() error {
		s := r.peers.services.Stateful
		if s == nil {
			return causeway.ErrNotSupp
		}
		return local(s)
	}})
}
