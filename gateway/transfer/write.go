package transfer

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// Write implements gateway.Transfer.
func (e *Engine) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	if c.ReadOnly {
		return gateway.WriteResult{}, causeway.ErrROFS
	}
	if c.NoWait && how != causeway.Unstable {
		return gateway.WriteResult{}, causeway.ErrWouldBlock
	}
	if v := (*e.volumes.Load())[h.Volume]; c.NoWait && v != nil && v.blocks != nil { // a device may be elsewhere, and not take it now
		return gateway.WriteResult{}, causeway.ErrWouldBlock
	}
	mark := e.changes.Begin(h.Hash())
	o, before, err := e.open(ctx, c, h, causeway.IOReadWrite, causeway.Span{Offset: off, Length: uint64(len(data))})
	if err != nil {
		mark.End()
		return gateway.WriteResult{}, err
	}
	defer o.Release()
	// Taken before the write: if a sync fails from here on, the client must find another one when it commits.
	r := gateway.WriteResult{Verifier: o.vol.verifier.get(), Stable: how}
	if err = o.mayWrite(c, &before); err == nil {
		if err = checkSpan(off, len(data)); err == nil {
			err = o.denied(ctx, c, off, len(data), true)
		}
		if err == nil {
			r.N, err = o.write(ctx, c, data, off, how)
		}
		if r.N > 0 && !o.wrote.Load() && c.Owner.Kind != causeway.OwnerSMB { // those say what they wrote when they close
			o.wrote.Store(true)
		}
	}
	r.Change = o.end(ctx, mark.End, before)
	return o.vouch(r, err)
}

// vouch turns the success of a write whose grant ended by itself into ErrDelay: it may have come too late, and whether it still
// shall be done is for its sender to say, who may have had it done elsewhere meanwhile. A grant that is recalled ends after
// the write.
func (o *object) vouch(r gateway.WriteResult, err error) (gateway.WriteResult, error) {
	if err == nil && !o.validExactly() {
		return gateway.WriteResult{}, causeway.ErrDelay
	}
	return r, err
}

// late reports whether a call came in an earlier life of this gateway: its client has had another one do it, and more after it.
func (e *Engine) late(c *gateway.Caller) bool {
	return c.Life != 0 && e.cfg.Life != nil && c.Life != e.cfg.Life()+1
}

func (o *object) mayWrite(c *gateway.Caller, a *causeway.Attr) error {
	switch {
	case o.grant.Mode != causeway.IOReadWrite:
		return causeway.ErrROFS
	case causeway.PermitOwner(&c.Cred, a, causeway.MayWrite) == 0:
		return causeway.ErrAccess
	}
	return nil
}

func (o *object) write(ctx context.Context, c *gateway.Caller, data []byte, off uint64, how causeway.Stability) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	if !o.validExactly() || o.engine.late(c) || gateway.Abandoned(ctx) {
		return 0, causeway.ErrDelay // the call was held up; see vouch
	}
	if o.vol.blocks != nil && o.mapped == nil { // done by the owner, in its journal when it is synced
		o.vol.handed.Store(true)
	}
	came := o.vol.verifier.get()
	n, err := o.store.WriteAt(ctx, data, off)
	if err != nil || how == causeway.Unstable {
		return n, err
	}
	return n, o.syncStable(ctx, how == causeway.DataSync, came)
}

// end returns the attributes around a change; those before it only if nothing else changed the object meanwhile.
func (o *object) end(ctx context.Context, alone func() bool, before causeway.Attr) causeway.Change {
	after, err := o.store.Stat(ctx)
	if err != nil {
		after = causeway.Attr{}
	}
	if !o.alone() { // who writes other ranges knows more
		alone()
		return causeway.Change{}
	}
	if !alone() {
		return causeway.Change{After: after}
	}
	return causeway.Change{Before: before, After: after}
}

// Sync implements gateway.Transfer. The span is a hint: storage syncs whole files.
func (e *Engine) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, _ causeway.Span) (gateway.SyncResult, error) {
	if c.NoWait {
		return gateway.SyncResult{}, causeway.ErrWouldBlock
	}
	mark := e.changes.Begin(h.Hash())
	o, before, err := e.open(ctx, c, h, causeway.IORead, causeway.Span{})
	if err != nil {
		mark.End()
		return gateway.SyncResult{}, err
	}
	defer o.Release()
	if causeway.PermitOwner(&c.Cred, &before, causeway.MayWrite) == 0 {
		err = causeway.ErrAccess
	} else if alive := e.cfg.Alive; alive != nil && !alive(e.cfg.Now()) {
		err = causeway.ErrDelay
	} else { // also under a grant to read: what was written may have been so under an earlier one
		if err = o.sync(ctx, true); err == nil && alive != nil && !alive(e.cfg.Now()) {
			err = causeway.ErrDelay
		}
	}
	r := gateway.SyncResult{Change: o.end(ctx, mark.End, before)}
	// Taken after the sync: if it failed, for this or another request, the client must see that.
	r.Verifier = o.vol.verifier.get()
	return r, err
}
