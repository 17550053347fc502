package access

import (
	"context"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/access/grants"
	"causeway/internal/overlap"
	"causeway/internal/sleep"
)

const allLeases = causeway.LeaseAttr | causeway.LeaseNames

// touched is an object that is being changed: what other gateways held of it has ended, and is not given again until it ends.
type touched struct {
	owning
	mark   overlap.Change
	table  *holdings
	ticket grants.Ticket
}

// touch begins the change of an object. keep is what bytes may be granted of it meanwhile on a volume that others change too;
// on an exclusive one all that is held ends, since all of it contains attributes.
//
// The mark is set before it is seen whether anybody holds anything, and whoever is given something looks for marks afterwards
// (see settled): so one sees the other.
func (e *Engine) touch(ctx context.Context, c *gateway.Caller, v *volume, h causeway.Handle, keep causeway.IOMode) (touched, error) {
	x := touched{owning: e.owning(v), mark: e.changes.Begin(h.Hash())}
	if v.grants == nil || v.grants.foreign.Load() == 0 || !v.Exclusive && keep == causeway.IOReadWrite {
		return x, nil
	}
	var leases causeway.Leases
	if v.Exclusive {
		keep, leases = 0, allLeases
	}
	x.table = v.grants
	var err error
	if x.ticket, err = x.table.change(ctx, c.NoWait, h, keep, leases); err != nil {
		x.end()
	}
	return x, err
}

// end ends the change, and reports whether it was the only one of its time.
func (x *touched) end() (alone bool) {
	if x.table != nil {
		x.table.step(func(now time.Duration, table *grants.Table) {
			table.Changed(now, x.ticket)
		})
		x.table = nil
	}
	return x.mark.End()
}

// owning is the ownership in which a change begins.
type owning struct {
	e    *Engine
	v    *volume
	life uint64
}

func (e *Engine) owning(v *volume) owning {
	o := owning{e: e, v: v}
	if e.cfg.Life != nil {
		o.life = e.cfg.Life()
	}
	return o
}

// still returns ErrDelay unless the ownership lasts. It is asked immediately before the storage is changed, when nothing is waited for any
// more: who waits for a holder that is not reached, or behind one who does, can wait for longer than this gateway is the owner.
func (o *owning) still() error {
	cfg := &o.e.cfg
	if cfg.Alive == nil {
		return nil
	}
	now, err := o.e.volume(o.v.ID)
	if err != nil || now.epoch != o.v.epoch || cfg.Life != nil && cfg.Life() != o.life || !cfg.Alive(cfg.Now()) {
		return causeway.ErrDelay
	}
	return nil
}

// shared reports whether other gateways may hold leases on the names and attributes of a volume.
func (v *volume) shared() bool { return v.grants != nil && v.Exclusive }

// touchEntry is touch of an object whose names are about to change, which nobody but leases of attributes cares about.
func (e *Engine) touchEntry(ctx context.Context, c *gateway.Caller, v *volume, id causeway.ObjectID) (touched, error) {
	return e.touch(ctx, c, v, causeway.Handle{Volume: v.ID, Object: id}, causeway.IOReadWrite)
}

// settled waits until no change of an object runs that began before others could see that something of it is held.
func (e *Engine) settled(ctx context.Context, noWait bool, h causeway.Handle) error {
	for pause := 20 * time.Microsecond; e.changes.Running(h.Hash()); pause = min(2*pause, 5*time.Millisecond) {
		if noWait {
			return causeway.ErrWouldBlock
		}
		if !sleep.For(ctx, pause) {
			return ctx.Err()
		}
	}
	return nil
}

// fresh is stat of an object that another gateway may be writing: the storage is read anew, and where it does not know what
// its writers know, they are asked.
func (e *Engine) fresh(ctx context.Context, v *volume, h causeway.Handle, attr *causeway.Attr) (err error) {
	if v.mapper != nil {
		if v.grants != nil && len(v.grants.writersOf(h)) > 0 {
			e.collect(ctx, v, h)
			*attr, err = v.store.Stat(ctx, h.Object)
		}
		return err
	}
	holder, seq := v.grants.writer(h)
	if holder == "" {
		return nil
	}
	if !v.remembers {
		return e.report(ctx, v, holder, seq, h, attr)
	}
	forget(v.store, h)
	*attr, err = v.store.Stat(ctx, h.Object)
	return err
}

// asks reports whether fresh would have to ask another gateway about h.
func (v *volume) asks(h causeway.Handle) bool {
	if v.mapper != nil {
		return v.grants != nil && len(v.grants.writersOf(h)) > 0
	}
	if v.remembers {
		return false
	}
	holder, _ := v.grants.writer(h)
	return holder != ""
}

// report asks a writer what it knows; nothing ends by it.
func (e *Engine) report(ctx context.Context, v *volume, holder string, seq uint64, h causeway.Handle, attr *causeway.Attr) error {
	ctx, cancel := context.WithTimeout(ctx, v.grants.table.Lease())
	defer cancel()
	c, err := e.ask(ctx, holder, &gateway.Recall{Handle: h, Epoch: v.grants.epoch, Seq: seq, Mode: causeway.IOReadWrite})
	if now, statErr := v.store.Stat(ctx, h.Object); statErr == nil {
		*attr = now
	}
	if err != nil || !c.Written {
		return nil // it writes no more, or is fenced by its lease: the storage knows
	}
	attr.Size = max(attr.Size, c.Size)
	if c.Mtime.Compare(attr.Mtime) > 0 {
		attr.Mtime = c.Mtime
	}
	if c.Ctime.Compare(attr.Ctime) > 0 {
		attr.Ctime = c.Ctime
	}
	return nil
}
