package cluster

import (
	"context"
	"time"

	"causeway/cluster/ownership"
	"causeway/cluster/record"
)

const (
	tick       = 40 * time.Millisecond
	requests   = 64              // transactions under way at a time
	answerIn   = 3 * time.Second // for a transaction
	retryHooks = 20 * time.Millisecond
)

// run hands events to the machine, one after another, and has its effects done.
func (c *Cluster) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-c.events:
			c.step(ctx, e)
		case j := <-c.joined:
			c.begin(ctx, j)
		case <-ticker.C:
			c.step(ctx, ownership.Tick{})
		}
	}
}

// send hands an event to the machine's goroutine.
func (c *Cluster) send(ctx context.Context, e ownership.Event) {
	select {
	case c.events <- e:
	case <-ctx.Done():
	}
}

// begin starts a membership, if it is not over already.
func (c *Cluster) begin(ctx context.Context, j joined) {
	alive, cancel := context.WithCancel(ctx)
	c.member = membership{j.event.Lease, cancel}
	c.lease.deadline.Store(int64(j.deadline))
	c.tasks.Go(func() { c.keepAlive(alive, j.event.Lease) })
	c.remains.Store(j.event.Lease)
	c.leave()
	c.fresh.Store(false)
	c.log.Info("joined the cluster", "incarnation", j.event.Incarnation, "revision", j.event.Member)
	c.step(ctx, j.event)
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
}

// step first finds out whether the lease may have ended: no event is worth anything then.
func (c *Cluster) step(ctx context.Context, e ownership.Event) {
	now := c.cfg.Clock()
	if c.member.id != 0 && !c.lease.valid() {
		c.log.Warn("the lease may have ended: the gateway stops all I/O until it has joined again")
		c.do(ctx, c.machine.Step(now, ownership.LeaseLost{Lease: c.member.id}))
	}
	c.do(ctx, c.machine.Step(now, e))
}

func (c *Cluster) do(ctx context.Context, effects []ownership.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case ownership.Join:
			c.tasks.Go(func() { c.join(ctx) })
		case ownership.Fence:
			c.fence()
		case ownership.Transact:
			c.tasks.Go(func() { c.transact(ctx, e) })
		case ownership.RunHook:
			c.startHook(ctx, e)
		case ownership.Compute:
			e.Input.HeldDown = c.heldDown(e.Input)
			c.tasks.Go(func() { c.send(ctx, ownership.Placed{ID: e.ID, Owners: c.cfg.Place(e.Input)}) })
		case ownership.Revoke:
			c.tasks.Go(func() { c.revoke(ctx, e) })
		case ownership.Stopped:
			close(c.released)
		}
	}
}

// fence ends the membership at once.
func (c *Cluster) fence() {
	c.lease.deadline.Store(0)
	if c.member.cancel != nil {
		c.member.cancel()
	}
	c.member = membership{}
	c.cfg.Hooks.Fence()
}

func (c *Cluster) transact(ctx context.Context, e ownership.Transact) {
	answer := ownership.TxnDone{ID: e.ID}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return
	}
	for _, op := range e.Txn.Then { // they are this transaction's own
		if o, ok := op.Value.(*record.Owner); ok {
			o.Since = c.cfg.Now().UTC().Truncate(time.Millisecond)
		}
	}
	call, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	switch r, err := c.db.Transact(call, e.Txn); {
	case err != nil:
		c.log.Debug("a transaction's outcome is not known", "err", err)
	case r.Done:
		answer.Outcome, answer.Revision = ownership.Done, r.Revision
	default:
		answer.Outcome, answer.Revision = ownership.Refused, r.Revision
	}
	c.send(ctx, answer)
}

func (c *Cluster) revoke(ctx context.Context, e ownership.Revoke) {
	call, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	err := c.db.Revoke(call, e.Lease)
	if err != nil {
		c.log.Warn("cannot revoke the lease of a gateway that was dropped", "err", err)
	}
	c.send(ctx, ownership.Revoked{Lease: e.Lease, OK: err == nil})
}
