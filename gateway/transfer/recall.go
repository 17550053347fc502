package transfer

import (
	"context"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

// Recall implements gateway.Holder. It waits for I/O that runs, but not for those who send to a client what they have read. The
// storage knows all that was written, so there is nothing to commit.
func (e *Engine) Recall(ctx context.Context, r *gateway.Recall) (gateway.Commit, error) {
	if v := (*e.volumes.Load())[r.Handle.Volume]; v != nil && r.Epoch.Before(v.known()) {
		return gateway.Commit{}, causeway.ErrStaleEpoch
	}
	if r.Mode >= causeway.IOReadWrite {
		return e.report(r.Handle), nil
	}
	o := e.cache.revoke(r.Handle, r.Seq, r.Mode)
	if o == nil {
		return gateway.Commit{}, nil
	}
	defer e.cache.forgetLeft(o)
	if r.Gone {
		if o.mapped != nil {
			o.mapped.finish()
		}
		return gateway.Commit{}, nil
	}
	if err := o.idle(ctx); err != nil || o.mapped == nil {
		return gateway.Commit{}, err
	}
	return o.handOver(), nil
}

// report tells what the owner does not know of what is written here. It will be told again.
func (e *Engine) report(h causeway.Handle) (c gateway.Commit) {
	if o := e.cache.peek(h); o != nil {
		if o.mapped != nil && o.valid() {
			c, _ = o.mapped.collect()
		}
		o.Release()
	} else if o = e.cache.left(h); o != nil && o.mapped != nil && o.valid() {
		c, _ = o.mapped.collect() // it is told with the answer to a recall too, which may come later than this
	}
	return c
}

// handOver ends what extents are used for, and returns what is to be committed. Whether the answer arrives in time the
// device knows: if not, it has been told to refuse the key.
func (o *object) handOver() gateway.Commit {
	c := o.mapped.finish()
	if !c.Written {
		return c
	}
	if !o.validExactly() {
		o.vol.verifier.bump()
		return gateway.Commit{}
	}
	o.vol.handed.Store(true)
	return c
}

// newOwner notes that the last owner may not have done what it was told.
func (v *volume) newOwner() {
	if v.handed.Swap(false) {
		v.verifier.bump()
	}
}

// Reassert implements gateway.Holder.
func (e *Engine) Reassert(ctx context.Context, id causeway.VolumeID, epoch causeway.Epoch) (held []gateway.Held, err error) {
	v := (*e.volumes.Load())[id]
	if v == nil {
		return nil, nil
	}
	defer e.settle(ctx, id) // when the lock is given back
	v.mu.Lock()
	defer v.mu.Unlock()
	if epoch.Before(v.epoch) {
		return nil, causeway.ErrStaleEpoch
	}
	e.dropUnleased(v) // of an ownership of this gateway itself
	e.cache.dropOffers(id)
	tenure := v.tenure.Load()
	if v.epoch != epoch {
		v.epoch = epoch
		v.newOwner()
		tenure++
	}
	e.cache.each(id, func(o *object) {
		if o.leased && o.valid() && len(held) < e.cfg.MaxOpen {
			held = append(held, heldOf(&o.grant))
			o.tenure.Store(tenure)
			if o.mapped != nil {
				o.mapped.follow(epoch)
			}
		}
	})
	v.tenure.Store(tenure) // what was not listed has ended
	return held, nil
}

// settling is how long a new owner waits at most for I/O that runs here under grants that it is not told of: not as long as it waits for
// the answer, since that I/O may itself wait for an owner.
const settling = 250 * time.Millisecond

// settle waits for I/O under grants that have been given up. On blocks the device does not take it any more.
func (e *Engine) settle(ctx context.Context, id causeway.VolumeID) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for _, o := range e.cache.leftOf(id) {
		if o.mapped == nil {
			_ = o.idle(ctx)
		}
	}
}

// follow notes the epoch of a grant that came. It returns false for one of an earlier ownership, or whose ownership changed
// while it was under way. tenure becomes that of the grant.
func (e *Engine) follow(v *volume, epoch causeway.Epoch, tenure *uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case epoch.Before(v.epoch) || v.tenure.Load() != *tenure:
		return false
	case v.epoch.Before(epoch):
		v.epoch = epoch
		v.newOwner()
		*tenure = v.tenure.Add(1)
		e.dropUnleased(v)
	}
	return true
}

func (e *Engine) dropUnleased(v *volume) {
	e.cache.dropWhere(func(o *object) bool { return o.vol == v && !o.leased })
}

// known returns the volume's latest known epoch.
func (v *volume) known() causeway.Epoch {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.epoch
}

// Attr returns the attributes of an object that is open under a valid lease, with all that the caller's rights depend on: the
// storage's, which on an exclusive volume nobody changes meanwhile but this gateway. false: there is no such grant.
func (e *Engine) Attr(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, bool) {
	o := e.cache.peek(h)
	if o == nil {
		return causeway.Attr{}, false
	}
	defer o.Release()
	if !o.leased || !o.valid() || !o.alone() {
		return causeway.Attr{}, false
	}
	if o.mapped != nil {
		attr, ok := o.mapped.trueAttr()
		return attr, ok && o.valid()
	}
	attr, err := o.store.Stat(ctx)
	if err == nil {
		err = backend.LoadACL(ctx, o.vol.store, h.Object, &c.Cred, &attr)
	}
	return attr, err == nil && attr.Nlink != 0 && o.valid()
}
