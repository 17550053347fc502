package access

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/gateway/access/grants"
)

// holdings is the grant table of a volume at one epoch, and what carries out its effects. It exists where there are other
// gateways. Calls that change what others may hold look at the counters first, so that nobody pays who is alone.
type holdings struct {
	e     *Engine
	epoch causeway.Epoch
	store backend.Store
	id    causeway.VolumeID

	mapper  backend.Mapper // or nil
	commits sync.RWMutex   // with a mapper: held while something is committed, alone while a grant ends under which it could be
	settled bool           // with a mapper: what nobody has asserted was taken back; guarded by mu

	foreign atomic.Int64 // how much other gateways hold
	writers atomic.Int64 // how many of these may write

	mu      sync.Mutex
	table   *grants.Table
	waiting map[grants.Ticket]chan grants.Given
	recalls map[string]*recalls // by holder
}

func (e *Engine) newHoldings(v *causeway.Volume, s backend.Store, epoch causeway.Epoch) *holdings {
	mapper, mapped := s.(backend.Mapper)
	t := &holdings{
		e: e, epoch: epoch, store: s, id: v.ID, mapper: mapper, waiting: map[grants.Ticket]chan grants.Given{}, recalls: map[string]*recalls{},
		table: grants.New(grants.Rules{Exclusive: v.Exclusive, Apart: mapped, Fence: mapped}, grants.Limits{Lease: e.cfg.Lease, Holdings: e.cfg.MaxGrants, Quiet: e.cfg.Quiet}),
	}
	if mapped {
		t.settleLater()
	}
	return t
}

// follow numbers what is granted from now on behind what was granted before in the same epoch: holders tell by that what is newer.
func (t *holdings) follow(last *holdings) {
	last.mu.Lock()
	defer last.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.table.Follow(last.table)
}

// step is one event of the table, and carries out its effects.
func (t *holdings) step(f func(now time.Duration, table *grants.Table)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t.e.cfg.Now(), t.table)
	for _, effect := range t.table.Effects() {
		switch effect.Kind {
		case grants.Recall:
			t.tellLocked(effect)
		case grants.Granted, grants.Ready:
			if c := t.waiting[effect.Ticket]; c != nil {
				delete(t.waiting, effect.Ticket)
				c <- effect.Given
			}
		case grants.Ended:
			forget(t.store, effect.Handle)
			t.settleLocked(effect.Handle)
		case grants.Fence:
			t.e.running.Go(func() { t.fence(effect) })
		}
	}
	t.foreign.Store(int64(t.table.Foreign()))
	t.writers.Store(int64(t.table.Writers()))
}

func forget(s backend.Store, h causeway.Handle) {
	if f, ok := s.(backend.Forgetter); ok {
		f.Forget(h.Object)
	}
}

// recall asks a holder to give up what the table says. One that does not answer is fenced by its lease.
func (t *holdings) recall(x grants.Effect) {
	ctx, cancel := context.WithTimeout(context.Background(), t.table.Lease())
	defer cancel()
	c, err := t.e.ask(ctx, x.Holder, &gateway.Recall{Handle: x.Handle, Epoch: t.epoch, Seq: x.Seq, Mode: x.Mode, Leases: x.Leases})
	if err != nil {
		return
	}
	t.commits.RLock()
	if c.Written && t.recalling(&x) {
		err = t.commit(ctx, x.Handle, &c)
	}
	t.commits.RUnlock()
	if err != nil && t.named(ctx, x.Handle) {
		return // its lease ends, and the fence tells its writer's clients by another verifier that something is lost
	}
	t.commits.Lock() // what was reported under the grant before is committed before the grant ends, or never
	defer t.commits.Unlock()
	t.step(func(now time.Duration, table *grants.Table) { table.Recalled(now, x.Handle, x.Holder, x.Seq) })
}

// named reports whether an object still has a name.
func (t *holdings) named(ctx context.Context, h causeway.Handle) bool {
	a, err := t.store.Stat(ctx, h.Object)
	return err == nil && a.Nlink > 0
}

// ask reaches a holder.
func (e *Engine) ask(ctx context.Context, holder string, r *gateway.Recall) (gateway.Commit, error) {
	switch {
	case holder != grants.Local && holder != e.cfg.Node:
		return e.cfg.Holders.Recall(ctx, holder, r)
	case e.cfg.Holder == nil:
		return gateway.Commit{}, nil
	case holder == grants.Local:
		ctx = context.WithoutCancel(ctx) // it waits for I/O of its own, and no lease ends that
	}
	return e.cfg.Holder.Recall(ctx, r)
}

// commit makes what a holder wrote part of the file. Storage whose blocks a file system below owns knows all of it already,
// so no more is done than to read it anew.
func (t *holdings) commit(ctx context.Context, h causeway.Handle, c *gateway.Commit) error {
	switch {
	case t.mapper != nil:
		return t.mapper.Commit(ctx, h.Object, c.Size, c.Mtime, c.Extents)
	case len(c.Extents) > 0:
		return causeway.ErrNotSupp
	}
	forget(t.store, h)
	return nil
}

// wait waits until a ticket is served, as long as leases of others can last.
func (t *holdings) wait(ctx context.Context, ticket grants.Ticket, served <-chan grants.Given) (grants.Given, error) {
	for {
		timer := time.NewTimer(t.untilNext())
		select {
		case g := <-served:
			timer.Stop()
			return g, nil
		case <-timer.C:
			t.step(func(now time.Duration, table *grants.Table) { table.Tick(now) })
		case <-ctx.Done():
			timer.Stop()
			t.step(func(now time.Duration, table *grants.Table) {
				table.Cancel(now, ticket)
				delete(t.waiting, ticket)
			})
			select {
			case g := <-served: // served in this very moment
				return g, nil
			default:
				return grants.Given{}, ctx.Err()
			}
		}
	}
}

// untilNext returns how long it is until the next lease ends that somebody waits for.
func (t *holdings) untilNext() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.table.Next()
	if !ok {
		return t.table.Lease()
	}
	return max(at-t.e.cfg.Now(), 0)
}

// give gets a holding for a gateway.
func (t *holdings) give(ctx context.Context, a grants.Ask) (g grants.Given, err error) {
	var ticket grants.Ticket
	var code causeway.Code
	served := make(chan grants.Given, 1)
	t.step(func(now time.Duration, table *grants.Table) {
		if g, ticket, code = table.Ask(now, a); code == causeway.ErrBlocked {
			t.waiting[ticket] = served
		}
	})
	if code == causeway.ErrBlocked {
		return t.wait(ctx, ticket, served)
	}
	return g, errorOf(code)
}

// back takes back what was given and did not reach its holder, or what the holder gives back.
func (t *holdings) back(holder string, h gateway.Held) {
	t.commits.Lock() // as after a recall
	defer t.commits.Unlock()
	t.step(func(now time.Duration, table *grants.Table) {
		table.Return(now, h.Handle, holder, h.Mode, h.Leases, h.Seq)
	})
}

// writer returns the gateway that may write an object now, "" if none but this one may.
func (t *holdings) writer(h causeway.Handle) (holder string, seq uint64) {
	if t == nil || t.writers.Load() == 0 {
		return "", 0
	}
	t.step(func(now time.Duration, table *grants.Table) {
		table.Tick(now)
		holder, seq = table.Writer(h, "")
	})
	return holder, seq
}

// change begins a change of an object, when others have given up what it ends. Changed must follow, also after an error.
func (t *holdings) change(ctx context.Context, noWait bool, h causeway.Handle, keep causeway.IOMode, leases causeway.Leases) (ticket grants.Ticket, err error) {
	var code causeway.Code
	served := make(chan grants.Given, 1)
	t.step(func(now time.Duration, table *grants.Table) {
		if ticket, code = table.Change(now, h, keep, leases); code == causeway.ErrBlocked && !noWait {
			t.waiting[ticket] = served
		}
	})
	switch {
	case code != causeway.ErrBlocked:
		return ticket, errorOf(code)
	case noWait:
		return ticket, causeway.ErrWouldBlock // the recall is under way already when the call comes again
	}
	_, err = t.wait(ctx, ticket, served)
	return ticket, err
}

// end ends all that other gateways hold of an object.
func (t *holdings) end(ctx context.Context, h causeway.Handle) error {
	ticket, err := t.change(ctx, false, h, 0, allLeases)
	t.step(func(now time.Duration, table *grants.Table) { table.Changed(now, ticket) })
	return err
}

// endAll ends all that other gateways hold of the volume, within a lease.
func (t *holdings) endAll() {
	t.step(func(now time.Duration, table *grants.Table) { table.RecallAll(now) })
	for t.untilRecalled() {
		time.Sleep(min(t.untilNext(), 5*time.Millisecond))
		t.step(func(now time.Duration, table *grants.Table) { table.Tick(now) })
	}
}

func (t *holdings) untilRecalled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, waits := t.table.Next()
	return waits
}
