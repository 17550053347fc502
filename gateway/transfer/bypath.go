package transfer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/transfer/path"
)

// Read implements gateway.Transfer.
func (x *Paths) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (r gateway.ReadResult, err error) {
	var first error
	if x.straight(h, path.Read) {
		if r, err = x.own.Read(ctx, c, h, off, dst); !x.spread(path.Read, err) {
			return r, err
		}
		first = err
	}
	return x.readAround(ctx, c, h, off, dst, first)
}

func (x *Paths) readAround(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte, first error) (r gateway.ReadResult, err error) {
	err = x.around(ctx, c, h, path.Read, first, func(t gateway.Transfer) (err error) { r, err = t.Read(ctx, c, h, off, dst); return err })
	return r, err
}

// ReadRange implements gateway.Transfer: of bytes that are here.
func (x *Paths) ReadRange(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, n int) (gateway.FileRange, error) {
	if !x.Reaches(h.Volume) {
		return gateway.FileRange{}, causeway.ErrNotSupp
	}
	r, err := x.cfg.Here.ReadRange(ctx, c, h, off, n)
	if x.spread(path.Read, err) {
		return gateway.FileRange{}, causeway.ErrNotSupp // Read finds another path
	}
	return r, err
}

// Write implements gateway.Transfer.
func (x *Paths) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (r gateway.WriteResult, err error) {
	var first error
	if x.straight(h, path.Write) {
		if r, err = x.own.Write(ctx, c, h, off, data, how); c.ReadOnly || !x.spread(path.Write, err) {
			return r, err
		}
		first = err
	}
	return x.writeAround(ctx, c, h, off, data, how, first)
}

func (x *Paths) writeAround(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability, first error) (r gateway.WriteResult, err error) {
	err = x.around(ctx, c, h, path.Write, first, func(t gateway.Transfer) (err error) {
		r, err = t.Write(ctx, c, h, off, data, how)
		return err
	})
	return r, err
}

// Sync implements gateway.Transfer. By another path than the writes it answers with another verifier, so that clients write again.
func (x *Paths) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (r gateway.SyncResult, err error) {
	var first error
	if x.straight(h, path.Sync) {
		if r, err = x.own.Sync(ctx, c, h, s); !x.spread(path.Sync, err) {
			return r, err
		}
		first = err
	}
	return x.syncAround(ctx, c, h, s, first)
}

func (x *Paths) syncAround(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span, first error) (r gateway.SyncResult, err error) {
	err = x.around(ctx, c, h, path.Sync, first, func(t gateway.Transfer) (err error) { r, err = t.Sync(ctx, c, h, s); return err })
	return r, err
}

// Own is what other gateways find here: bytes by this gateway's own path alone, and causeway.ErrMoved where there is none. What fails is
// probed as well.
func (x *Paths) Own() gateway.Transfer { return own{x} }

type own struct{ x *Paths }

// note makes of a failure that the path is to blame for one that sends the other gateway elsewhere.
func (o own) note(ctx context.Context, h causeway.Handle, op path.Op, err error) error {
	if o.x.spread(op, err) && o.x.cfg.Rule.Analyse(&path.Failure{Op: op, Err: err}).Suspect && o.x.Suspect(ctx, h.Volume, err) != nil {
		return causeway.ErrMoved
	}
	return err
}

// Read implements gateway.Transfer.
func (o own) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (gateway.ReadResult, error) {
	if !o.x.Reaches(h.Volume) {
		return gateway.ReadResult{}, causeway.ErrMoved
	}
	r, err := o.x.own.Read(ctx, c, h, off, dst)
	return r, o.note(ctx, h, path.Read, err)
}

// ReadRange implements gateway.Transfer: nothing is lent to another gateway.
func (o own) ReadRange(context.Context, *gateway.Caller, causeway.Handle, uint64, int) (gateway.FileRange, error) {
	return gateway.FileRange{}, causeway.ErrNotSupp
}

// Write implements gateway.Transfer.
func (o own) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	if !o.x.Reaches(h.Volume) {
		return gateway.WriteResult{}, causeway.ErrMoved
	}
	r, err := o.x.own.Write(ctx, c, h, off, data, how)
	return r, o.note(ctx, h, path.Write, err)
}

// Sync implements gateway.Transfer.
func (o own) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (gateway.SyncResult, error) {
	if !o.x.Reaches(h.Volume) {
		return gateway.SyncResult{}, causeway.ErrMoved
	}
	r, err := o.x.own.Sync(ctx, c, h, s)
	return r, o.note(ctx, h, path.Sync, err)
}
