package access

import (
	"context"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/lockmgr"
)

// change is one change of an object, usually a directory: it collects what is reported about it.
type change struct {
	v      *volume
	id     causeway.ObjectID
	before causeway.Attr
	touched
	stripe int // in stickies
	locks  *lockmgr.Manager
	by     lockmgr.By
}

// begin starts a change of h. The attributes that rights are decided from are those that are reported as "before".
func (e *Engine) begin(ctx context.Context, c *gateway.Caller, v *volume, h causeway.Handle) (change, error) {
	return e.beginKeeping(ctx, c, v, h, causeway.IOReadWrite)
}

// beginKeeping is begin of a change during which no more than keep is granted of the bytes.
func (e *Engine) beginKeeping(ctx context.Context, c *gateway.Caller, v *volume, h causeway.Handle, keep causeway.IOMode) (change, error) {
	x, err := e.touch(ctx, c, v, h, keep)
	if err != nil {
		return change{}, err
	}
	before, err := v.store.Stat(ctx, h.Object)
	if err == nil {
		err = backend.LoadACL(ctx, v.store, h.Object, &c.Cred, &before)
	}
	if err == nil {
		err = named(&before)
	}
	if err != nil {
		x.end()
		return change{}, err
	}
	return change{v, h.Object, before, x, e.sticky.stripe(h), e.locks, byOf(c)}, nil
}

// end reads the attributes after the change, and drops those before it if another change came between.
func (c *change) end(ctx context.Context) causeway.Change {
	after, err := c.v.store.Stat(ctx, c.id)
	if err != nil {
		after = causeway.Attr{}
	}
	if !c.touched.end() {
		return causeway.Change{After: after}
	}
	return causeway.Change{Before: c.before, After: after}
}
