// Package member makes a gateway a member of a cluster: it connects the cluster's decisions (who administers which volume, who
// answers for which service address) to the volumes, the routing of calls, and the listeners of the gateway, and answers the
// operator's commands about the cluster.
//
// Not here: the decisions themselves (cluster, cluster/balance), flags and what is printed (cmd/causeway).
package member

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/cluster"
	"causeway/cluster/address"
	"causeway/cluster/record"
	"causeway/discovery"
	"causeway/gateway"
	"causeway/gateway/nfs/nlm"
	"causeway/gateway/route"
	"causeway/internal/sleep"
	"causeway/redirect/utilization"
)

// Volumes are the volumes that this gateway has open.
type Volumes interface {
	// Identify returns the id of the volume in a backend, which is born if there was none.
	Identify(ctx context.Context, at Storage) (causeway.VolumeID, error)
	// Acquire opens a volume's backend and administers it.
	Acquire(ctx context.Context, v *causeway.Volume, at Storage, e causeway.Epoch) error
	// Release ends that. No request for the volume runs.
	Release(ctx context.Context, id causeway.VolumeID) error
	// Open reports whether a volume's storage is open here, and Near whether its names and attributes may be read here although
	// another gateway administers it. Neither blocks.
	Open(id causeway.VolumeID) bool
	Near(id causeway.VolumeID) bool
	// Probe asks a volume's storage whether it answers, by reading what no memory of this machine holds.
	Probe(ctx context.Context, id causeway.VolumeID) error
	// Update says which volumes there are. It opens what it can in the background.
	Update(ctx context.Context, list []Published)
}

// Published is a volume of the cluster, and where its storage is found.
type Published struct {
	*causeway.Volume
	Storage
}

// Config says what a Member connects. All is required but Interface, Ports, Guard, Holds, CutOff, Discovery and Reading.
type Config struct {
	Cluster   cluster.Config // Place, Hooks, Notify and Addresses are set here
	Catalog   *gateway.Catalog
	Volumes   Volumes
	Engines   Engines
	Listener  address.Listener   // answers clients at service addresses
	Interface string             // that carries service addresses; "": the one with a network that contains the address
	Mirror    net.Listener       // for what other gateways say of their clients' connections
	Ports     []uint16           // at which clients stay connected; none: all
	Guard     *address.Guard     // clears up after a process that is killed; nil: none
	Holds     func([]netip.Addr) // optional: the service addresses that this gateway has added to the machine; must not block
	Hangs     time.Duration      // after which storage that does not answer is taken for dead; 0: as transfer.PathsConfig has it
	CutOff    func()             // optional: ends all connections of clients and all grants; called when the gateway was cut off, before it may do I/O again
	Log       *slog.Logger

	Discovery Discovery // optional: what is answered by DNS
	Crowd     Crowd     // who uses this gateway

	Clients func() int                 // aware clients that work at this gateway; nil: none
	Reading func() utilization.Reading // of this gateway's counters; nil: its load is not reported
}

// Member is a gateway in a cluster.
type Member struct {
	cfg     Config
	log     *slog.Logger
	routes  *route.Table
	cluster atomic.Pointer[cluster.Cluster]
	joined  chan struct{} // closed when cluster is set
	wake    chan struct{} // something changed
	keeper  *keeper
	split   *Split
	shown   shown
	events  *events
	metrics *Metrics
	life    context.Context // until Leave
	end     context.CancelFunc
	stop    context.CancelFunc
	left    sync.Once
	behind  atomic.Bool // the membership may outlast this process
	tasks   sync.WaitGroup

	storage struct { // volumes whose storage this gateway has lost, or has again
		mu      sync.Mutex
		faults  map[causeway.VolumeID]error
		said    map[causeway.VolumeID]bool // of volumes that stay here although their storage does not answer: that was logged
		back    []causeway.VolumeID
		changed chan struct{}
	}

	front     atomic.Pointer[LockFront]
	lost      lost
	announcer announcer
	capacity  float64                        // work in a second that would use this gateway fully; report's alone
	zone      atomic.Pointer[discovery.Zone] // what is answered by DNS; nil: none
	ranking   atomic.Pointer[discovery.Zone] // by which clients of SMB are sent to gateways

	proved    sync.Map      // causeway.VolumeID → true: their directories are those of the other gateways
	others    sync.Map      // causeway.VolumeID → true: another gateway has owned it since this one joined
	attesting chan struct{} // members or owners may have changed
}

// New returns a Member that has not joined: calls wait.
func New(cfg Config) (*Member, error) {
	m := &Member{cfg: cfg, log: cfg.Log, joined: make(chan struct{}), wake: make(chan struct{}, 1), attesting: make(chan struct{}, 1), stop: func() {}, events: newEvents(time.Now), metrics: NewMetrics()}
	m.storage.changed = make(chan struct{}, 1)
	m.lost.waiting, m.lost.told = make(map[record.Key]waited), make(map[record.Key]uint64)
	m.life, m.end = context.WithCancel(context.Background())
	m.metrics.m, m.events.count = m, func(what string) { m.metrics.events.WithLabelValues(what).Inc() }
	var err error
	if m.routes, err = route.New(route.Config{Valid: m.Valid, Nearly: m.ValidNearly}); err != nil {
		return nil, err
	}
	m.split, err = newSplit(m, cfg.Engines)
	return m, err
}

// LockFront is told what becomes of volumes in which its clients hold locks, or wait for them.
type LockFront interface {
	AskAgain(causeway.VolumeID)
	Lost([]nlm.Record)
}

// Tell says who speaks to clients about their locks.
func (m *Member) Tell(f LockFront) { m.front.Store(&f) }

// Split is every volume of the cluster, for the fronts of this gateway.
func (m *Member) Split() *Split { return m.split }

// Metrics returns what Prometheus is shown of the cluster.
func (m *Member) Metrics() *Metrics { return m.metrics }

// Routes says where the volumes are answered.
func (m *Member) Routes() *route.Table { return m.routes }

// Cluster returns the gateway's part of the cluster, nil before Join.
func (m *Member) Cluster() *cluster.Cluster { return m.cluster.Load() }

// Valid reports whether this gateway may do I/O.
func (m *Member) Valid() bool {
	c := m.cluster.Load()
	return c != nil && c.Valid()
}

// ValidNearly is Valid for reads; see cluster.
func (m *Member) ValidNearly() bool {
	c := m.cluster.Load()
	return c != nil && c.ValidNearly()
}

// ValidAt is Valid for who has just read internal/boottime.
func (m *Member) ValidAt(now time.Duration) bool {
	c := m.cluster.Load()
	return c != nil && c.ValidAt(now)
}

// Join joins the cluster or makes it. Calls are answered from then on, but at no service address before Serve.
func (m *Member) Join(ctx context.Context) error {
	m.behind.Store(true)
	cfg := m.cfg.Cluster
	cfg.Place, cfg.Hooks = place, hooks{m}
	cfg.Addresses, cfg.Seed.Addresses = cfg.Seed.Addresses, nil // nobody shall take them before this gateway is there
	cfg.Notify = func(_ int64, changes []record.Change) { m.vanished(changes); m.events.see(changes); m.poke() }
	cfg.Shown, cfg.Observe = m.shown.await, m.metrics.observe
	cfg.Asked = m.asked()
	c, err := cluster.Start(ctx, cfg)
	if err != nil {
		return err
	}
	m.cluster.Store(c)
	close(m.joined)
	first := c.Table()
	m.events.begin(first)
	if err := m.publish(m.life, first); err != nil {
		return errors.Join(err, m.Leave(ctx))
	}
	m.shown.reach(first.Revision())
	if err := m.insist(ctx, func() error { return m.claimAddresses(ctx) }); err != nil {
		return err
	}
	return m.insist(ctx, func() error { return m.claimZone(ctx) })
}

// claimAddresses puts the service addresses that this gateway was started with into its record.
func (m *Member) claimAddresses(ctx context.Context) error {
	mine, key := m.cfg.Cluster.Seed.Addresses, record.Named(record.KindNode, m.cfg.Cluster.Node)
	for m.Cluster().Table().Get(key) == nil { // it was written a moment ago
		if !sleep.For(ctx, time.Millisecond) {
			return ctx.Err()
		}
	}
	return m.change(ctx, key, func(r record.Record) (record.Record, error) {
		n := *r.(*record.Node)
		n.Addresses = mine
		n.Moved = maps.Clone(n.Moved)
		maps.DeleteFunc(n.Moved, func(a netip.Addr, _ string) bool { return !contains(mine, a) })
		for item := range m.Cluster().Table().All(record.KindNode) {
			for _, a := range item.Value.(*record.Node).Addresses {
				if item.Key.Name != n.Name && contains(mine, a) {
					return nil, fmt.Errorf("the service address %v belongs to %s already", a, item.Key.Name)
				}
			}
		}
		return &n, nil
	})
}

// Secret returns bytes that all gateways of the cluster share and nobody else knows.
func (m *Member) Secret(purpose string) [16]byte {
	c := m.Cluster().Table().Cluster()
	secret := c.Secret
	if len(secret) == 0 {
		secret = []byte(c.ID) // a database of an older version
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(purpose))
	return [16]byte(mac.Sum(nil)[:16])
}

// Serve begins to answer at service addresses, and follows the cluster.
func (m *Member) Serve() error {
	var err error
	if m.keeper, err = newKeeper(m); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	m.keeper.begin()
	m.tasks.Go(func() { m.follow(ctx) })
	m.tasks.Go(func() { m.split.copies.renew(ctx) })
	m.tasks.Go(func() { m.attest(ctx) })
	m.tasks.Go(func() { m.weigh(ctx) })
	m.tasks.Go(func() { m.tellReach(ctx) })
	if m.cfg.Reading != nil {
		m.tasks.Go(func() { m.report(ctx) })
	}
	return nil
}

// poke makes follow look again.
func (m *Member) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// follow brings the catalog and the service addresses to what the records say.
func (m *Member) follow(ctx context.Context) {
	ticker := time.NewTicker(200 * time.Millisecond) // for what could not be done at once, and for the lease
	defer ticker.Stop()
	seen, published := int64(0), time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		case <-ticker.C:
		}
		t := m.Cluster().Table()
		if t.Revision() != seen || time.Since(published) > time.Second { // storage may be there now that was not
			published = time.Now()
			if err := m.publish(ctx, t); err != nil {
				m.log.Error("the volumes cannot be published", "err", err)
			}
			m.watchOwners(t)
			m.split.copies.retain(t)
			seen = t.Revision()
			m.shown.reach(seen)
		}
		m.announce(t)
		m.keeper.keep(ctx, t)
		m.keeper.report()
		m.tellLost(t, m.keeper.held())
	}
}

// publish shows clients the volumes of the cluster, but those that are for others alone.
func (m *Member) publish(ctx context.Context, t *record.Table) error {
	self := t.Node(m.cfg.Cluster.Node)
	var list []*causeway.Volume
	var open []Published
	for _, item := range t.Items(record.KindVolume) {
		v := item.Value.(*record.Volume)
		if v.DomainPolicy == record.Strict && (self == nil || !record.SharesDomain(self, v)) {
			continue
		}
		list = append(list, v.Volume())
		at, err := m.storageOf(v)
		if err != nil {
			m.log.Error("a share cannot be used", "volume", v.Name, "err", err)
		}
		open = append(open, Published{list[len(list)-1], at})
	}
	m.cfg.Volumes.Update(ctx, open)
	return m.cfg.Catalog.Publish(list)
}

// Leave gives up volumes and addresses, so that others take them at once. It does so once.
func (m *Member) Leave(ctx context.Context) (err error) {
	m.left.Do(func() {
		m.end()
		m.stop()
		m.tasks.Wait()
		if m.keeper != nil { // first, so that no address is ever at two gateways
			err = m.keeper.leave(ctx)
		}
		if c := m.Cluster(); c != nil {
			m.say(ctx, c)
		}
		if m.keeper != nil {
			err = errors.Join(err, m.keeper.close())
		}
	})
	return err
}

// leaveWithin bounds how long a gateway tries to hand over what it has.
const leaveWithin = 4 * time.Second

// say tells the others that this gateway leaves. The last ones of a cluster have nobody to tell: most of the database is gone.
func (m *Member) say(ctx context.Context, c *cluster.Cluster) {
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	err := c.Stop(ctx)
	if err != nil {
		m.log.Warn("the gateway left without handing over: others notice when its lease ends", "err", err)
	}
	m.behind.Store(err != nil)
}

// Behind reports whether this gateway would leave a membership behind if it ended now.
func (m *Member) Behind() bool { return m.behind.Load() }

// Peer is where other gateways reach this one.
func (m *Member) Peer() string { return m.cfg.Cluster.Peer }
