// Package lockmgr is the shell around the lock table: it serialises calls, waits for leases, lets time pass, and tells subscribers what
// follows. It belongs to the gateway that administers the volumes. It knows no protocol and keeps nothing on disk: which
// clients may reclaim after a restart is told to it, by whoever keeps the records of that protocol's clients.
package lockmgr

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/lockmgr/table"
)

// Lock is a byte-range lock; its fields are those of gateway.Lock.
type Lock = table.Lock

// Request is a lock that is asked for; its fields are those of gateway.LockSpec.
type Request = table.Request

// Client is whose owners come and go together.
type Client = table.Client

// Stats counts what is held, and the clients that hold.
type Stats = table.Stats

// EventKind says what an Event tells.
type EventKind uint8

// The events.
const (
	LockGranted EventKind = iota // Lock: a request that was queued has been granted
	LeaseBroken                  // Break
	OpenLost                     // Open ended by itself
)

// Event tells a front what became of something that its clients hold, or wait for.
type Event struct {
	Kind   EventKind
	To     string // the gateway that received the client's latest request, if another one
	Lock   Lock
	Break  table.Break
	Within time.Duration // for the acknowledgement of a break
	Open   causeway.Held
}

// Subscriber receives the events of owners of one kind, on the goroutine whose call caused them, without any lock held. It
// must not wait for other calls. Events may overtake one another.
type Subscriber func(Event)

// Config says how locks are managed.
type Config struct {
	Limits table.Limits
	// Known are the clients that may hold locks from before the start. If there are any, all volumes begin with a grace period.
	Known []Client
	// Grace is the longest that the grace period lasts; default 90 s, at least 1 s.
	Grace time.Duration
	// Settle is how long after a client was told of the restart, or after its last reclaim, it counts as done; default 15 s,
	// at least 1 s. When all known clients are, the grace period ends.
	Settle time.Duration
	// Patience is how long the holder of a lease has to acknowledge that it was broken; default 35 s, 1 s to 60 s.
	Patience time.Duration
	// Orphaned is how long what clients of a dead gateway hold waits for another gateway to speak for them; default 60 s.
	Orphaned time.Duration
	Log      *slog.Logger
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	for _, d := range []struct {
		name     string
		field    *time.Duration
		fallback time.Duration
	}{{"Grace", &c.Grace, 90 * time.Second}, {"Settle", &c.Settle, 15 * time.Second}, {"Patience", &c.Patience, 35 * time.Second}, {"Orphaned", &c.Orphaned, time.Minute}} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
		if *d.field < tick {
			return fmt.Errorf("lockmgr: %s is %v: less than %v", d.name, *d.field, tick)
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"Locks", c.Limits.Locks}, {"LocksPerClient", c.Limits.LocksPerClient}, {"Waiting", c.Limits.Waiting}, {"WaitingPerClient", c.Limits.WaitingPerClient},
		{"Opens", c.Limits.Opens}, {"OpensPerClient", c.Limits.OpensPerClient}} {
		if n.value < 0 {
			return fmt.Errorf("lockmgr: Limits.%s is negative", n.name)
		}
	}
	if c.Patience > time.Minute {
		return fmt.Errorf("lockmgr: Patience is %v: more than a minute, after which clients give up", c.Patience)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// tick is the table's unit of time.
const tick = time.Second

// Manager holds the locks of all volumes that this gateway administers. One mutex guards them: a call costs a microsecond or
// two under it, and a deadlock can span volumes, so that finding one needs to see them all.
type Manager struct {
	log      *slog.Logger
	patience time.Duration
	orphaned int // ticks
	ids      idSource
	guards   guards
	claims   atomic.Uint64 // the latest id of one
	opens    atomic.Int64

	mu      sync.Mutex
	table   *table.Table
	gates   map[causeway.Handle]chan struct{} // closed when who waits for leases of the object may try again
	untold  []causeway.Held
	ticking bool
	closed  bool

	telling  sync.Mutex // held while the observer is told, before mu
	observer Observer

	subscribers [causeway.OwnerAware + 1]Subscriber
	remove      func(causeway.Held) bool
	guarded     func(causeway.Handle)

	ctx     context.Context // of the passing of time
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// New starts a Manager. It runs a goroutine while time matters to what is held; Close ends it.
func New(c Config) (*Manager, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Limits.BreakTicks = ticks(c.Patience)
	m := &Manager{
		log: c.Log, patience: c.Patience, orphaned: ticks(c.Orphaned), ids: newIDs(),
		table: table.New(c.Limits), gates: make(map[causeway.Handle]chan struct{}),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.step(func() { m.table.BeginGrace(0, c.Known, ticks(c.Grace), ticks(c.Settle)) })
	if m.Stats().Grace {
		m.log.Info("grace period begins", "clients", len(c.Known), "limit", c.Grace)
	}
	return m, nil
}

func ticks(d time.Duration) int { return int((d + tick - 1) / tick) }

// Close stops the passing of time. What is held stays as it is.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.stop()
	m.stopped.Wait()
}

// keepTimeLocked starts the clock when something needs it.
func (m *Manager) keepTimeLocked() {
	if !m.ticking && !m.closed && m.table.NeedsTime() {
		m.ticking = true
		m.stopped.Go(m.passTime)
	}
}

func (m *Manager) passTime() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for m.needsTime() {
		select {
		case <-m.ctx.Done():
			return
		case <-t.C:
			m.step(m.table.Tick)
		}
	}
}

func (m *Manager) needsTime() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ticking = m.table.NeedsTime()
	return m.ticking
}

// Subscribe registers who is told of events for owners of a kind. It is called before the first request.
func (m *Manager) Subscribe(kind causeway.OwnerKind, s Subscriber) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscribers[kind] = s
}

// step runs one call on the table and delivers what follows: to the observer first, in the order of all calls.
func (m *Manager) step(call func()) (removed bool) {
	m.mu.Lock()
	call()
	effects := m.table.Effects()
	changes := m.table.Changes()
	m.untold = append(m.untold, changes...)
	for _, e := range effects {
		m.applyLocked(e)
	}
	m.keepTimeLocked()
	m.opens.Store(int64(m.table.Stats().Opens))
	m.mu.Unlock()
	if len(changes) > 0 {
		m.tell()
	}
	for _, e := range effects {
		removed = m.deliver(e) || removed
	}
	return removed
}

// applyLocked does what must not come later than the next call.
func (m *Manager) applyLocked(e table.Effect) {
	switch e.Kind {
	case table.Unblocked:
		if gate := m.gates[e.Handle]; gate != nil {
			close(gate)
			delete(m.gates, e.Handle)
		}
	case table.Guarded:
		m.guards.add(e.Handle, 1)
	case table.Unguarded:
		m.guards.add(e.Handle, -1)
	}
}

func (m *Manager) deliver(e table.Effect) (removed bool) {
	switch e.Kind {
	case table.GraceEnded:
		m.log.Info("grace period ended", "volume", e.Volume)
	case table.Granted:
		m.publish(e.Lock.Owner.Kind, Event{Kind: LockGranted, To: e.To, Lock: e.Lock})
	case table.Broken:
		m.publish(e.Break.Owner.Kind, Event{Kind: LeaseBroken, To: e.To, Break: e.Break, Within: m.patience})
	case table.Lost:
		m.publish(e.Held.Owner.Kind, Event{Kind: OpenLost, To: e.To, Open: e.Held})
	case table.Doomed:
		removed = m.remove != nil && m.remove(e.Held)
		m.step(func() { m.table.Removed(e.Handle) })
	case table.Guarded:
		if m.guarded != nil {
			m.guarded(e.Handle)
		}
	}
	return removed
}

func (m *Manager) publish(kind causeway.OwnerKind, e Event) {
	if int(kind) < len(m.subscribers) && m.subscribers[kind] != nil {
		m.subscribers[kind](e)
	}
}

// Lock takes a lock or queues the request. It answers ErrLocked and ErrBlocked (an Event follows) with the conflicting lock,
// ErrDeadlock, ErrGrace, ErrNoGrace, ErrNoLocks, ErrInval. The event may be delivered before Lock returns.
func (m *Manager) Lock(h causeway.Handle, o causeway.Owner, r Request) (by Lock, code causeway.Code) {
	m.step(func() { by, code = m.table.Lock(h, o, r) })
	return by, code
}

// LockFrom is Lock for a request that another gateway received.
func (m *Manager) LockFrom(gateway string, h causeway.Handle, o causeway.Owner, r Request) (by Lock, code causeway.Code) {
	m.step(func() { by, code = m.table.LockFrom(gateway, h, o, r) })
	return by, code
}

// Test answers OK if the lock could be had, else ErrLocked with the conflicting lock, ErrGrace or ErrInval.
func (m *Manager) Test(h causeway.Handle, o causeway.Owner, r Request) (by Lock, code causeway.Code) {
	m.step(func() { by, code = m.table.Test(h, o, r) })
	return by, code
}

// Unlock gives a span back, whether it was held or not: OK, ErrNoLocks if it cannot be split, ErrInval.
func (m *Manager) Unlock(h causeway.Handle, o causeway.Owner, s causeway.Span) (code causeway.Code) {
	m.step(func() { code = m.table.Unlock(h, o, s) })
	return code
}

// Cancel takes a queued request back; ErrNoEnt if none is queued.
func (m *Manager) Cancel(h causeway.Handle, o causeway.Owner, r Request) (code causeway.Code) {
	m.step(func() { code = m.table.Cancel(h, o, r) })
	return code
}

// ReleaseOwner drops all that an owner holds and waits for.
func (m *Manager) ReleaseOwner(o causeway.Owner) {
	m.step(func() { m.table.ReleaseOwner(o) })
}

// ReleaseClient drops all that a client's owners hold and wait for: it is gone, or has restarted.
func (m *Manager) ReleaseClient(c Client) {
	m.step(func() { m.table.ReleaseClient(c) })
}

// ReleaseVia is ReleaseClient for the locks of owners whose latest request came through a gateway.
func (m *Manager) ReleaseVia(c Client, gateway string) {
	m.step(func() { m.table.ReleaseVia(c, gateway) })
}

// Told says that a client knows that it must reclaim: the grace period waits for it no longer than the settling time.
func (m *Manager) Told(c Client) {
	m.step(func() { m.table.Told(c) })
}

// Assert takes back a lock that its holder was granted by an earlier owner of the volume, with or without a grace period.
func (m *Manager) Assert(l Lock) (by Lock, code causeway.Code) {
	m.step(func() { by, code = m.table.Assert(l) })
	return by, code
}

// Locks returns what is held, sorted by handle and offset.
func (m *Manager) Locks() []Lock {
	m.mu.Lock()
	list := slices.Collect(m.table.Held())
	m.mu.Unlock()
	table.Sort(list)
	return list
}

// HeldBy returns the locks of one owner, sorted by handle and offset.
func (m *Manager) HeldBy(o causeway.Owner) []Lock {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.HeldBy(o)
}

// Stats counts, for metrics and status.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.Stats()
}
