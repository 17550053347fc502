package transfer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/transfer/path"
)

var _ gateway.Sparse = (*Paths)(nil)

// holes is this gateway's own path, if it can do what gateway.Sparse says and is the one that the object's bytes take now. Other paths cannot.
func (x *Paths) holes(h causeway.Handle, op path.Op) (gateway.Sparse, error) {
	own, can := x.cfg.Here.(gateway.Sparse)
	if !can || !x.straight(h, op) {
		return nil, causeway.ErrNotSupp
	}
	return own, nil
}

// Punch implements gateway.Sparse.
func (x *Paths) Punch(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (gateway.WriteResult, error) {
	own, err := x.holes(h, path.Write)
	if err != nil {
		return gateway.WriteResult{}, err
	}
	return own.Punch(ctx, c, h, s)
}

// Data implements gateway.Sparse.
func (x *Paths) Data(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span, max int) ([]causeway.Span, bool, error) {
	own, err := x.holes(h, path.Read)
	if err != nil {
		return nil, false, err
	}
	return own.Data(ctx, c, h, s, max)
}
