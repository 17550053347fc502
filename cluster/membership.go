package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"causeway/cluster/database"
	"causeway/cluster/ownership"
	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// lease knows until when this gateway may act as a member. The data path asks it before I/O and before replies.
type lease struct {
	clock    func() time.Duration
	recent   func() time.Duration // clock, nearly, for what harms nobody for some milliseconds after the machine has slept
	deadline atomic.Int64         // 0: no member
}

// valid reports whether the lease has certainly not ended.
func (l *lease) valid() bool { return int64(l.clock()) < l.deadline.Load() }

// nearly is valid for a sixth of the price.
func (l *lease) nearly() bool { return int64(l.recent()) < l.deadline.Load() }

// at is valid for who has read the system's clock (boottime.Now) already.
func (l *lease) at(now time.Duration) bool { return int64(now) < l.deadline.Load() }

// extend moves the end to a later time, unless the lease was given up meanwhile.
func (l *lease) extend(to time.Duration) {
	for {
		now := l.deadline.Load()
		if now == 0 || int64(to) <= now || l.deadline.CompareAndSwap(now, int64(to)) {
			return
		}
	}
}

// membership is what one Join made.
type membership struct {
	id     int64
	cancel context.CancelFunc // ends the keep-alives
}

// errNameInUse says that another machine runs a gateway with this name.
var errNameInUse = errors.New("another gateway runs under this node's name")

// join becomes a member, however long it takes.
func (c *Cluster) join(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.tryJoin(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.joinErr.Store(&err)
		c.log.Warn("cannot join the cluster yet", "err", err)
		sleep.For(ctx, 300*time.Millisecond)
	}
}

func (c *Cluster) tryJoin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := c.retire(ctx); err != nil {
		return err
	}
	returned, err := c.admissible(ctx)
	if err != nil {
		return err
	}
	sent := c.cfg.Clock()
	id, ttl, err := c.db.Grant(ctx, c.cfg.LeaseTTL)
	if err != nil {
		return err
	}
	if ttl != c.cfg.LeaseTTL {
		return errors.Join(fmt.Errorf("the database grants leases of %v, not of %v", ttl, c.cfg.LeaseTTL), c.db.Revoke(ctx, id))
	}
	member := &record.Member{Node: c.cfg.Node, Instance: c.instance, Incarnation: rand.Uint64() | 1, Lease: id, Peer: c.cfg.Peer, Between: c.cfg.Between, Mirror: c.cfg.Mirror, DNS: c.cfg.DNS, Services: c.cfg.Services,
		EnginePeer: c.cfg.EnginePeer, EngineClient: c.cfg.EngineClient,
		Addresses: c.cfg.Addresses, Versions: c.cfg.Versions, Since: c.cfg.Now().UTC().Truncate(time.Millisecond), Returned: returned}
	r, err := c.db.Transact(ctx, ownership.JoinTxn(member))
	if err != nil || !r.Done {
		return errors.Join(err, errNameInUse, c.db.Revoke(ctx, id))
	}
	c.rememberEnrolment()
	select {
	case c.joined <- joined{ownership.Joined{Incarnation: member.Incarnation, Lease: id, Member: r.Revision}, sent + ttl - c.cfg.LeaseMargin}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type joined struct {
	event    ownership.Joined
	deadline time.Duration
}

// retire ends the membership of an earlier process on this state directory: it does not run any more.
func (c *Cluster) retire(ctx context.Context) error {
	old, err := c.db.Get(ctx, record.Named(record.KindMember, c.cfg.Node))
	if err != nil || old == nil {
		return err
	}
	member := old.Value.(*record.Member)
	if member.Instance != c.instance {
		return errNameInUse
	}
	return c.db.Revoke(ctx, member.Lease)
}

// admissible refuses a cluster whose gateways this one would not understand, and makes the node's record. It reports whether there
// was one: whether the node comes back.
func (c *Cluster) admissible(ctx context.Context) (returned bool, err error) {
	item, err := c.db.Get(ctx, record.Sole(record.KindCluster))
	if err != nil {
		return false, err
	}
	if item == nil {
		return false, errors.New("the configuration database holds no cluster")
	}
	if v := item.Value.(*record.Cluster).MinVersion; v > c.cfg.Versions.Max || v < c.cfg.Versions.Min {
		return false, fmt.Errorf("the cluster needs protocol version %d, this gateway speaks %d to %d", v, c.cfg.Versions.Min, c.cfg.Versions.Max)
	}
	seed := c.cfg.Seed
	if c.enrolled.Load() {
		if item, err := c.db.Get(ctx, record.Named(record.KindNode, seed.Name)); err != nil || item != nil {
			return !c.fresh.Load(), err
		}
		return false, c.removed()
	}
	made, err := c.db.Transact(ctx, record.Create(record.Named(record.KindNode, seed.Name), &seed, 0))
	if made.Done {
		c.fresh.Store(true)
	}
	return !c.fresh.Load(), err
}

// rememberEnrolment remembers that the node has a record: if that is gone one day, somebody has removed it.
func (c *Cluster) rememberEnrolment() {
	if c.enrolled.Load() || len(c.cfg.External) > 0 { // who may write to a database of others is of the cluster
		return
	}
	if err := c.note(func(w *whereabouts) { w.Node = c.cfg.Node }); err != nil {
		c.log.Warn("the state directory cannot be written", "err", err)
		return
	}
	c.enrolled.Store(true)
}

// ErrRemoved says that a gateway was removed from its cluster while it did not run.
var ErrRemoved = errors.New("this gateway was removed from its cluster")

func (c *Cluster) removed() error {
	return fmt.Errorf("%w: to join again, move %s away, and start it with a token", ErrRemoved, c.cfg.Dir)
}

// keepAlive prolongs a lease until ctx ends. Requests overlap, so that a slow one does not cost the lease.
func (c *Cluster) keepAlive(ctx context.Context, id int64) {
	ticker := time.NewTicker(c.cfg.LeaseTTL / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, c.cfg.LeaseTTL)
			defer cancel()
			sent := c.cfg.Clock()
			ttl, err := c.db.KeepAlive(ctx, id)
			switch {
			case err == nil && ctx.Err() == nil:
				c.lease.extend(sent + min(ttl, c.cfg.LeaseTTL) - c.cfg.LeaseMargin)
			case errors.Is(err, database.ErrNoLease):
				c.send(ctx, ownership.LeaseLost{Lease: id})
			case ctx.Err() == nil:
				c.log.Debug("keep-alive failed", "err", err)
			}
		})
	}
}
