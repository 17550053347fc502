package cluster

import (
	"context"
	"slices"
	"time"

	"causeway/cluster/ownership"
	"causeway/cluster/record"
)

// dutiesEvery is how often the master looks whether it is time for something.
const dutiesEvery = 500 * time.Millisecond

// attend does what the master does at set times: rebalances by schedule, and those that end a hold-down.
func (c *Cluster) attend(ctx context.Context) {
	ticker := time.NewTicker(dutiesEvery)
	defer ticker.Stop()
	var held map[string]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !c.Leads() {
			held = nil
			continue
		}
		now := c.heldDown(ownership.InputOf(c.Table()))
		for name := range held {
			if !now[name] {
				c.send(ctx, ownership.Rebalance{})
				break
			}
		}
		held = now
		c.attempt(ctx, "keep the schedule", c.keepSchedule)
	}
}

// Leads reports whether this gateway is the master.
func (c *Cluster) Leads() bool {
	lock := c.Table().Get(record.Sole(record.KindLock))
	return lock != nil && lock.Value.(*record.Lock).Node == c.cfg.Node && c.Valid()
}

// heldDown returns the nodes that came back too short a time ago to be trusted with what is well elsewhere.
func (c *Cluster) heldDown(in ownership.Input) map[string]bool {
	held := make(map[string]bool)
	for name, since := range in.Returned {
		if c.cfg.Now().Sub(since) < time.Duration(in.Settings.HoldDown) {
			held[name] = true
		}
	}
	return held
}

// keepSchedule orders the rebalance whose time has come. That is noted in the same transaction, so that no other master orders it
// again, and one that was missed while there was no master is made up for once.
func (c *Cluster) keepSchedule(ctx context.Context) error {
	item := c.Table().Get(record.Sole(record.KindSettings))
	if item == nil {
		return nil
	}
	settings, now := *item.Value.(*record.Settings), c.cfg.Now()
	settings.Schedules = slices.Clone(settings.Schedules)
	for i := range settings.Schedules {
		s := &settings.Schedules[i]
		next, err := s.Next(s.Since.In(now.Location()))
		if err != nil || next.IsZero() || next.After(now) {
			continue
		}
		s.Since = now.UTC().Truncate(time.Second)
		order := &record.Rebalance{Asked: now.UTC(), By: s.Cron, Thorough: s.Thorough}
		txn := record.Update(item, &settings)
		txn.Then = append(txn.Then, record.Put(record.Sole(record.KindRebalance), order, 0))
		done, err := c.Transact(ctx, txn)
		if done {
			c.log.Info("rebalancing by schedule", "schedule", s.Cron, "thorough", s.Thorough)
		}
		return err // the others come at the next look
	}
	return nil
}

// Rebalance has the master, whoever it is, compute placement again.
func (c *Cluster) Rebalance(ctx context.Context, thorough bool) error {
	order := &record.Rebalance{Asked: c.cfg.Now().UTC(), By: "operator", Thorough: thorough}
	_, err := c.Transact(ctx, record.Txn{Then: []record.Op{record.Put(record.Sole(record.KindRebalance), order, 0)}})
	return err
}

// Input returns what placement would be computed from now.
func (c *Cluster) Input(thorough bool) ownership.Input {
	in := ownership.InputOf(c.Table())
	in.Thorough, in.HeldDown = thorough, c.heldDown(in)
	return in
}
