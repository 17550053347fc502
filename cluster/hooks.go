package cluster

import (
	"context"
	"time"

	"causeway"
	"causeway/cluster/ownership"
	"causeway/internal/sleep"
)

// startHook runs a hook beside the machine. Only the machine's goroutine calls it, so that paused needs no lock.
func (c *Cluster) startHook(ctx context.Context, e ownership.RunHook) {
	since := c.cfg.Clock()
	switch e.Hook {
	case ownership.Pause:
		c.paused[e.Volume] = since
	case ownership.Resume:
		if at, ok := c.paused[e.Volume]; ok {
			delete(c.paused, e.Volume)
			since = at
		}
	}
	c.tasks.Go(func() {
		done := ownership.HookDone{Volume: e.Volume, Hook: e.Hook}
		if e.Hook == ownership.Acquire {
			if err := c.hook(ctx, e, c.cfg.AcquireWithin); err != nil {
				c.log.Warn("cannot take over a volume", "volume", e.Volume, "err", err)
				done.Failed = err.Error()
			}
		} else {
			c.insist(ctx, e)
		}
		if e.Hook == ownership.Resume {
			c.observe(Observation{e.Volume, "paused", c.cfg.Clock() - since, nil})
		}
		c.send(ctx, done)
	})
}

// insist calls a hook until it succeeds: neither a plan nor another membership may rely on less.
func (c *Cluster) insist(ctx context.Context, e ownership.RunHook) {
	for ctx.Err() == nil {
		err := c.hook(ctx, e, c.cfg.HookWithin)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.log.Warn("a volume does not obey", "volume", e.Volume, "op", e.Hook.String(), "err", err)
		sleep.For(ctx, retryHooks)
	}
}

func (c *Cluster) hook(ctx context.Context, e ownership.RunHook, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	start := c.cfg.Clock()
	var err error
	switch e.Hook {
	case ownership.Pause:
		err = c.cfg.Hooks.Pause(ctx, e.Volume)
	case ownership.Resume:
		err = c.cfg.Hooks.Resume(ctx, e.Volume, e.Epoch)
	case ownership.Release:
		err = c.cfg.Hooks.Release(ctx, e.Volume, e.Epoch)
	case ownership.Acquire:
		v := c.Table().Volume(e.Volume)
		if v == nil {
			err = causeway.ErrNoEnt
			break
		}
		err = c.cfg.Hooks.Acquire(ctx, v, e.Epoch)
	}
	c.observe(Observation{e.Volume, e.Hook.String(), c.cfg.Clock() - start, err})
	return err
}

func (c *Cluster) observe(o Observation) {
	if c.cfg.Observe != nil {
		c.cfg.Observe(o)
	}
}
