package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"causeway"
	"causeway/cluster/database"
	"causeway/cluster/engine"
	"causeway/cluster/ownership"
	"causeway/cluster/pki"
	"causeway/cluster/record"
)

// Cluster is this gateway's part of the cluster. Its methods are safe for concurrent use.
type Cluster struct {
	cfg      Config
	log      *slog.Logger
	instance string
	identity *pki.Identity // nil with external servers
	server   atomic.Pointer[engine.Server]
	client   *clientv3.Client
	db       *database.DB
	copy     *database.Copy
	lease    lease

	machine  *ownership.Machine                  // run's alone, as are the next two
	member   membership                          //
	located  time.Duration                       // followServers' alone: when it last asked for the servers
	rounds   int                                 // grow's alone
	noting   sync.Mutex                          // held while clusterFile is written
	trusted  atomic.Int64                        // revision of the authorities' record that the identity follows
	enrolled atomic.Bool                         // it was a member before: without a record of the node it has been removed
	fresh    atomic.Bool                         // the node is new: its record was made by this start
	grown    atomic.Int64                        // voting servers
	known    atomic.Pointer[[]string]            // where the database's voting servers are
	remains  atomic.Int64                        // the latest lease
	paused   map[causeway.VolumeID]time.Duration // since when
	events   chan ownership.Event
	joined   chan joined
	slots    chan struct{}
	ready    chan struct{} // closed when the gateway was a member for the first time
	released chan struct{} // closed when Stop has released everything
	joinErr  atomic.Pointer[error]
	refused  refusals // at the door

	cancel context.CancelFunc
	tasks  sync.WaitGroup
	closed func() error // once
}

// Start joins the cluster, or makes it, and returns when the gateway is a member: hooks are called from before that on. The
// context bounds the start only.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, log: cfg.Log.With("node", cfg.Node), paused: make(map[causeway.VolumeID]time.Duration),
		events: make(chan ownership.Event, 256), joined: make(chan joined), slots: make(chan struct{}, requests),
		ready: make(chan struct{}), released: make(chan struct{}), cancel: func() {}}
	c.lease.clock, c.lease.recent, c.closed = cfg.Clock, cfg.recent, sync.OnceValue(c.shut)
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	if c.instance, err = loadInstance(c.cfg.Dir); err != nil {
		return err
	}
	if err = c.connect(ctx); err != nil {
		return err
	}
	c.db = database.New(c.client)
	if err = c.found(ctx); err != nil {
		return err
	}
	if c.copy, err = database.Follow(ctx, c.db, c.log); err != nil {
		return err
	}
	if err = c.recognise(ctx); err != nil {
		return err
	}
	if c.enrolled.Load() && c.Table().Node(c.cfg.Node) == nil {
		return c.removed()
	}
	c.machine, err = ownership.New(ownership.Config{Node: c.cfg.Node, LeaseTTL: c.cfg.LeaseTTL, ConfirmWithin: c.cfg.ConfirmWithin})
	if err != nil {
		return err
	}
	life, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	first := c.Table()
	c.tasks.Go(func() { c.run(life) })
	c.send(life, ownership.Changed{Revision: first.Revision(), Changes: new(record.Table).Diff(first)})
	c.tasks.Go(func() { c.copy.Run(life, func(n database.Notice) { c.changed(life, n) }) })
	c.tasks.Go(func() { c.grow(life) })
	c.tasks.Go(func() { c.followServers(life) })
	c.tasks.Go(func() { c.attend(life) })
	c.tasks.Go(func() { c.renew(life) })
	c.serveDoor(life)
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
		if err := c.joinErr.Load(); err != nil {
			return *err
		}
		return fmt.Errorf("cannot join the cluster: %w", ctx.Err())
	}
}

func (c *Cluster) changed(ctx context.Context, n database.Notice) {
	if c.cfg.Notify != nil {
		c.cfg.Notify(n.Revision, n.Changes)
	}
	c.send(ctx, ownership.Changed{Revision: n.Revision, Changes: n.Changes})
}

// Table returns this gateway's copy of all records as it is now. It does not change, and costs nothing to get.
func (c *Cluster) Table() *record.Table { return c.copy.Table() }

// Identity returns this gateway's certificate, nil with External servers.
func (c *Cluster) Identity() *pki.Identity { return c.identity }

// Valid reports whether this gateway is a member, by a clock that counts while the machine sleeps. Without it no I/O may be
// started and no success reported.
func (c *Cluster) Valid() bool { return c.lease.valid() }

// ValidNearly is Valid for reads. A machine that was suspended learns of it within 10 ms of running.
func (c *Cluster) ValidNearly() bool { return c.lease.nearly() }

// ValidAt is Valid for who has just read internal/boottime.
func (c *Cluster) ValidAt(now time.Duration) bool { return c.lease.at(now) }

// LeaseLeft returns how long this gateway may act as a member without another answer of the database; 0 if it may not.
func (c *Cluster) LeaseLeft() time.Duration {
	return max(time.Duration(c.lease.deadline.Load())-c.cfg.Clock(), 0)
}

// Transact makes a transaction, and reports whether its conditions held. After an error it may or may not have been made.
func (c *Cluster) Transact(ctx context.Context, txn record.Txn) (bool, error) {
	r, err := c.db.Transact(ctx, txn)
	return r.Done, err
}

// Stop gives up all volumes, so that others take them at once, leaves the cluster, and closes.
func (c *Cluster) Stop(ctx context.Context) error {
	var err error
	if s := c.server.Load(); s != nil {
		if err := s.StepDown(); err != nil {
			c.log.Debug("the database's leader stops without a successor", "err", err)
		}
	}
	c.send(ctx, ownership.Stop{})
	select {
	case <-c.released:
		if item := c.Table().Get(record.Named(record.KindMember, c.cfg.Node)); item != nil {
			if m := item.Value.(*record.Member); m.Instance == c.instance {
				err = c.db.Revoke(ctx, m.Lease)
			}
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	return errors.Join(err, c.Close())
}

// Close ends everything at once. The lease ends by itself, as after a crash.
func (c *Cluster) Close() error { return c.closed() }

func (c *Cluster) shut() error {
	c.cancel()
	c.lease.deadline.Store(0)
	c.tasks.Wait()
	var err error
	if c.client != nil {
		err = c.client.Close()
	}
	if s := c.server.Load(); s != nil {
		s.Close()
	}
	return err
}
