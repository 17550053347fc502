package transfer

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// Read implements gateway.Transfer.
func (e *Engine) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (gateway.ReadResult, error) {
	for range attempts {
		o, attr, err := e.open(ctx, c, h, causeway.IORead, causeway.Span{Offset: off, Length: uint64(len(dst))})
		if err != nil {
			return gateway.ReadResult{Attr: attr}, err
		}
		r, err := o.read(ctx, c, &attr, off, dst)
		valid := o.valid()
		if !o.alone() {
			r.Attr = causeway.Attr{} // who writes other ranges knows more
		}
		o.Release()
		if valid && err != error(errEnded) {
			return r, err
		}
	}
	return gateway.ReadResult{}, causeway.ErrDelay
}

func (o *object) read(ctx context.Context, c *gateway.Caller, attr *causeway.Attr, off uint64, dst []byte) (gateway.ReadResult, error) {
	r := gateway.ReadResult{Attr: *attr}
	if causeway.PermitOwner(&c.Cred, attr, causeway.MayRead) == 0 {
		return r, causeway.ErrAccess
	}
	if err := o.admitRead(ctx, c, attr, off, len(dst)); err != nil {
		return r, err
	}
	r.Attr = *attr
	want, eof := within(off, len(dst), attr.Size)
	if want == 0 {
		r.EOF = eof
		return r, nil
	}
	n, err := o.readAt(ctx, c, dst[:want], off)
	if err != nil {
		return r, err
	}
	r.N, r.EOF = n, eof || n < want
	return r, nil
}

// admitRead asks whether a range may be read, before anything is concluded from the size: whoever had to give up what he had cached
// may have made the file longer.
func (o *object) admitRead(ctx context.Context, c *gateway.Caller, attr *causeway.Attr, off uint64, n int) error {
	if err := o.denied(ctx, c, off, n, false); err != nil || !o.grant.Guarded {
		return err
	}
	now, err := o.store.Stat(ctx)
	if err != nil {
		return err
	}
	now.Extended, now.ACL = attr.Extended, attr.ACL
	*attr = now
	return nil
}

func (o *object) readAt(ctx context.Context, c *gateway.Caller, dst []byte, off uint64) (int, error) {
	switch {
	case !c.NoWait:
		return o.store.ReadAt(ctx, dst, off)
	case o.noWait == nil:
		return 0, causeway.ErrWouldBlock
	}
	return o.noWait.ReadAtNoWait(dst, off)
}

// ReadRange implements gateway.Transfer.
func (e *Engine) ReadRange(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, n int) (gateway.FileRange, error) {
	o, attr, err := e.open(ctx, c, h, causeway.IORead, causeway.Span{Offset: off, Length: uint64(n)})
	if err != nil {
		return gateway.FileRange{ReadResult: gateway.ReadResult{Attr: attr}}, err
	}
	r := gateway.FileRange{ReadResult: gateway.ReadResult{Attr: attr}}
	switch {
	case o.fd == nil:
		err = causeway.ErrNotSupp
	case causeway.PermitOwner(&c.Cred, &attr, causeway.MayRead) == 0:
		err = causeway.ErrAccess
	default:
		err = o.admitRead(ctx, c, &attr, off, n)
		r.Attr = attr
	}
	if err == nil && !o.valid() {
		err = causeway.ErrDelay
	}
	if err != nil {
		o.Release()
		return r, err
	}
	r.N, r.EOF = within(off, n, attr.Size)
	r.Free = len(o.grant.Deny) == 0 && !o.grant.Guarded
	r.FD, r.Offset, r.Hold = o.fd.FD(), int64(off), (*lentObject)(o)
	o.lent.Add(1)
	if o.out.Load() {
		o.leave()
	}
	if r.N == 0 {
		r.Offset = 0
	}
	return r, nil
}
