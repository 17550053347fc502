package access

import (
	"context"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/access/grants"
)

// fence makes the storage refuse a gateway whose right to write has ended without an answer, and only then lets others have
// what it held. It goes on until it is done, or the volume is not administered here any more.
func (t *holdings) fence(x grants.Effect) {
	ctx, cancel := context.WithTimeout(context.Background(), t.table.Lease())
	defer cancel()
	err := t.mapper.Fence(ctx, x.Holder)
	t.commits.Lock()
	defer t.commits.Unlock()
	switch {
	case err == nil:
		t.step(func(now time.Duration, table *grants.Table) { table.Fenced(now, x.Holder, x.Seq) })
	case t.serving() && causeway.CodeOf(err) != causeway.ErrStaleEpoch:
		time.AfterFunc(t.table.Lease()/16, func() { t.fence(x) })
	}
}

// serving reports whether the volume is still administered by this table.
func (t *holdings) serving() bool {
	v, err := t.e.volume(t.id)
	return err == nil && v.grants == t
}

// recalling reports whether what a holder answered counts: its right has not ended meanwhile.
func (t *holdings) recalling(x *grants.Effect) (yes bool) {
	t.step(func(now time.Duration, table *grants.Table) { yes = table.Recalling(now, x.Handle, x.Holder, x.Seq) })
	return yes
}

// settleLocked takes back the blocks that were given to writers who committed nothing, when there are none any more. Who
// becomes a writer later is in the table before he gets blocks.
func (t *holdings) settleLocked(h causeway.Handle) {
	if t.mapper != nil && !t.table.Written(h) {
		t.mapper.Settle(h.Object)
	}
}

// settleLater looks from time to time whose leases have ended without anybody asking; and a lease after the beginning, what
// the writers of an earlier owner have left, who have asserted it by then or will not.
func (t *holdings) settleLater() {
	time.AfterFunc(t.table.Lease(), func() {
		if !t.serving() {
			return
		}
		t.step(func(now time.Duration, table *grants.Table) {
			table.Tick(now)
			t.settled = true
			for _, id := range t.mapper.Provisional() {
				t.settleLocked(causeway.Handle{Volume: t.id, Object: id})
			}
		})
		t.settleLater()
	})
}

// writersOf lists who may write an object now.
func (t *holdings) writersOf(h causeway.Handle) (list []grants.Writer) {
	if t == nil || t.writers.Load() == 0 {
		return nil
	}
	t.step(func(now time.Duration, table *grants.Table) {
		table.Tick(now)
		list = table.WritersOf(h)
	})
	return list
}

// collect asks all who write an object what they know, and commits it; nothing ends by it. A writer that does not answer is
// fenced in time.
func (e *Engine) collect(ctx context.Context, v *volume, h causeway.Handle) {
	ctx, cancel := context.WithTimeout(ctx, v.grants.table.Lease())
	defer cancel()
	for _, w := range v.grants.writersOf(h) {
		c, err := e.ask(ctx, w.Holder, &gateway.Recall{Handle: h, Epoch: v.grants.epoch, Seq: w.Seq, Mode: causeway.IOReadWrite})
		if err == nil && c.Written {
			_ = v.grants.commitHeld(ctx, w.Holder, gateway.Held{Handle: h, Seq: w.Seq}, &c)
		}
	}
}

// commitHeld commits what was written under a grant that is held; ErrStale if it is not.
func (t *holdings) commitHeld(ctx context.Context, holder string, held gateway.Held, c *gateway.Commit) error {
	t.commits.RLock()
	defer t.commits.RUnlock()
	valid := false
	t.step(func(now time.Duration, table *grants.Table) { valid = table.Holds(now, held.Handle, holder, held.Seq) })
	if !valid {
		return causeway.ErrStale
	}
	return t.commit(ctx, held.Handle, c)
}
