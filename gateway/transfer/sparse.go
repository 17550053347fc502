package transfer

import (
	"context"
	"math"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

var _ gateway.Sparse = (*Engine)(nil)

// Punch implements gateway.Sparse. Where blocks were given to this gateway by another one, it is the owner who would have to take them back.
func (e *Engine) Punch(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (gateway.WriteResult, error) {
	switch {
	case c.ReadOnly:
		return gateway.WriteResult{}, causeway.ErrROFS
	case c.NoWait:
		return gateway.WriteResult{}, causeway.ErrWouldBlock
	case s.Offset > math.MaxInt64 || s.Length > math.MaxInt64-s.Offset:
		return gateway.WriteResult{}, causeway.ErrFBig
	}
	mark := e.changes.Begin(h.Hash())
	o, before, err := e.open(ctx, c, h, causeway.IOReadWrite, s)
	if err != nil {
		mark.End()
		return gateway.WriteResult{}, err
	}
	defer o.Release()
	r := gateway.WriteResult{Verifier: o.vol.verifier.get(), Stable: causeway.Unstable}
	if err = o.mayWrite(c, &before); err == nil {
		err = o.denied(ctx, c, s.Offset, int(s.Length), true)
	}
	if err == nil {
		err = o.punch(ctx, s)
	}
	r.Change = o.end(ctx, mark.End, before)
	return o.vouch(r, err)
}

func (o *object) punch(ctx context.Context, s causeway.Span) error {
	p, can := o.store.(backend.Puncher)
	switch {
	case !can || o.mapped != nil:
		return causeway.ErrNotSupp
	case s.Length == 0:
		return nil
	case !o.validExactly():
		return causeway.ErrDelay // the call was held up; see vouch
	}
	if o.vol.blocks != nil {
		o.vol.handed.Store(true)
	}
	return p.Punch(ctx, s)
}

// Data implements gateway.Sparse.
func (e *Engine) Data(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span, max int) (parts []causeway.Span, more bool, err error) {
	if c.NoWait {
		return nil, false, causeway.ErrWouldBlock
	}
	if s.Offset > math.MaxInt64 || s.Length > math.MaxInt64-s.Offset {
		return nil, false, causeway.ErrInval
	}
	for range attempts {
		o, attr, err := e.open(ctx, c, h, causeway.IORead, s)
		if err != nil {
			return nil, false, err
		}
		parts, more, err = o.data(ctx, c, &attr, s, max)
		valid := o.valid()
		o.Release()
		if valid && err != error(errEnded) {
			return parts, more, err
		}
	}
	return nil, false, causeway.ErrDelay
}

func (o *object) data(ctx context.Context, c *gateway.Caller, attr *causeway.Attr, s causeway.Span, max int) (parts []causeway.Span, more bool, err error) {
	f, can := o.store.(backend.DataFinder)
	if !can || o.mapped != nil {
		return nil, false, causeway.ErrNotSupp
	}
	if causeway.PermitOwner(&c.Cred, attr, causeway.MayRead) == 0 {
		return nil, false, causeway.ErrAccess
	}
	if err := o.admitRead(ctx, c, attr, s.Offset, int(s.Length)); err != nil {
		return nil, false, err
	}
	for off, end := s.Offset, min(s.End(), attr.Size); off < end; {
		found, err := f.Data(ctx, off)
		if err != nil {
			return nil, false, err
		}
		from, to := found.Offset, min(found.End(), end)
		if found.Length == 0 || from >= end {
			break
		}
		if len(parts) == max {
			return parts, true, nil
		}
		if from < off || to <= off { // a store that turns back
			return nil, false, causeway.ErrServerFault
		}
		parts = append(parts, causeway.Span{Offset: from, Length: to - from})
		off = to
	}
	return parts, false, nil
}
