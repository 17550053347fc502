package transfer

import (
	"context"
	"math"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

// open returns the object of h with a reference for the caller and its attributes of now. On a miss it asks for a grant, for
// reading and writing if the storage lets it, so that a later write needs no second question.
func (e *Engine) open(ctx context.Context, c *gateway.Caller, h causeway.Handle, mode causeway.IOMode) (*object, causeway.Attr, error) {
	o := e.cache.get(h)
	if o != nil && o.grant.Mode < mode {
		o.Release()
		o = nil
	}
	if o == nil {
		var err error
		if o, err = e.acquire(ctx, c.NoWait, h, mode); err != nil {
			return nil, causeway.Attr{}, err
		}
	}
	attr, err := o.store.Stat(ctx)
	if err == nil && attr.Nlink == 0 {
		err = causeway.ErrStale
	}
	if err == nil {
		err = backend.LoadACL(ctx, o.vol.store, h.Object, &c.Cred, &attr)
	}
	if err != nil {
		if causeway.CodeOf(err) == causeway.ErrStale {
			e.cache.dropIf(o)
		}
		o.Release()
		return nil, attr, err
	}
	return o, attr, nil
}

func (e *Engine) acquire(ctx context.Context, noWait bool, h causeway.Handle, mode causeway.IOMode) (*object, error) {
	v := (*e.volumes.Load())[h.Volume]
	if v == nil {
		return nil, causeway.ErrStale
	}
	g, err := e.cfg.Grants.Grant(ctx, &gateway.GrantSpec{
		Handle: h, Mode: causeway.IOReadWrite, Span: causeway.Span{Length: causeway.ToEOF}, NoWait: noWait,
	})
	if err != nil {
		return nil, err
	}
	bytes, err := v.store.Open(ctx, h.Object, g.Mode, g.Locator)
	if mode == causeway.IORead && unwritable(causeway.CodeOf(err)) {
		g.Mode = causeway.IORead
		bytes, err = v.store.Open(ctx, h.Object, g.Mode, g.Locator)
	}
	if err != nil {
		return nil, err
	}
	o := &object{handle: h, vol: v, grant: g.Grant, store: bytes}
	o.noWait, _ = bytes.(backend.NoWaitReader)
	o.fd, _ = bytes.(backend.Descriptor)
	return e.cache.put(o), nil
}

// unwritable reports that the storage lets nobody write a file which it may let read: it is immutable, a program that runs, or
// read-only for a server without privileges.
func unwritable(c causeway.Code) bool {
	return c == causeway.ErrPerm || c == causeway.ErrAccess || c == causeway.ErrBusy || c == causeway.ErrROFS
}

// Recall implements gateway.Holder. I/O that runs keeps its reference; what comes later needs a new grant.
func (e *Engine) Recall(_ context.Context, r *gateway.Recall) (gateway.Commit, error) {
	if o := e.cache.drop(r.Handle); o != nil {
		o.Release()
	}
	return gateway.Commit{}, nil
}

// Reassert implements gateway.Holder.
func (e *Engine) Reassert(context.Context, causeway.VolumeID, causeway.Epoch) ([]gateway.Held, error) {
	return nil, nil
}

// Stats are counters since the start, and what is open now.
type Stats struct {
	Open         int
	Hits, Misses uint64
}

// Stats returns the state of the grant cache.
func (e *Engine) Stats() Stats {
	return Stats{Open: e.cache.open(), Hits: e.cache.hits.Load(), Misses: e.cache.misses.Load()}
}

// within returns how many of n bytes from off a file of this size has, and whether they reach its end.
func within(off uint64, n int, size uint64) (int, bool) {
	if off >= size || off > math.MaxInt64 {
		return 0, true
	}
	if left := size - off; uint64(n) >= left {
		return int(left), true
	}
	return n, false
}
