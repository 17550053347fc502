// Package lockmgr is the shell around the lock table: it serialises calls, lets time pass, and tells subscribers what
// follows. It belongs to the gateway that administers the volumes. It knows no protocol and keeps nothing on disk: which
// clients may reclaim after a restart is told to it, by whoever keeps the records of that protocol's clients.
package lockmgr

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
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

// Event tells that a request that was queued has been granted.
type Event struct {
	Lock Lock
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
	Log    *slog.Logger
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	for _, d := range []struct {
		name     string
		field    *time.Duration
		fallback time.Duration
	}{{"Grace", &c.Grace, 90 * time.Second}, {"Settle", &c.Settle, 15 * time.Second}} {
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
	}{{"Locks", c.Limits.Locks}, {"LocksPerClient", c.Limits.LocksPerClient}, {"Waiting", c.Limits.Waiting}, {"WaitingPerClient", c.Limits.WaitingPerClient}} {
		if n.value < 0 {
			return fmt.Errorf("lockmgr: Limits.%s is negative", n.name)
		}
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
	log *slog.Logger

	mu    sync.Mutex
	table *table.Table

	subscribers [causeway.OwnerSMB + 1]Subscriber

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// New starts a Manager. It runs a goroutine while there is a grace period; Close ends it.
func New(c Config) (*Manager, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Manager{log: c.Log, table: table.New(c.Limits)}
	m.table.BeginGrace(0, c.Known, ticks(c.Grace), ticks(c.Settle))
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	if m.table.Stats().Grace {
		m.log.Info("grace period begins", "clients", len(c.Known), "limit", c.Grace)
		m.stopped.Go(func() { m.passTime(ctx) })
	}
	return m, nil
}

func ticks(d time.Duration) int { return int((d + tick - 1) / tick) }

// Close stops the passing of time. Locks stay as they are.
func (m *Manager) Close() {
	m.stop()
	m.stopped.Wait()
}

func (m *Manager) passTime(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for m.Stats().Grace {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.step(m.table.Tick)
		}
	}
}

// Subscribe registers who is told of events for owners of a kind. It is called before the first request.
func (m *Manager) Subscribe(kind causeway.OwnerKind, s Subscriber) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscribers[kind] = s
}

// step runs one call on the table and delivers what follows.
func (m *Manager) step(call func()) {
	m.mu.Lock()
	call()
	effects := m.table.Effects()
	m.mu.Unlock()
	for _, e := range effects {
		m.deliver(e)
	}
}

func (m *Manager) deliver(e table.Effect) {
	switch e.Kind {
	case table.GraceEnded:
		m.log.Info("grace period ended", "volume", e.Volume)
	case table.Granted:
		if kind := e.Lock.Owner.Kind; int(kind) < len(m.subscribers) && m.subscribers[kind] != nil {
			m.subscribers[kind](Event{e.Lock})
		}
	}
}

// Lock takes a lock or queues the request. It answers ErrLocked and ErrBlocked (an Event follows) with the conflicting lock,
// ErrDeadlock, ErrGrace, ErrNoGrace, ErrNoLocks, ErrInval. The event may be delivered before Lock returns.
func (m *Manager) Lock(h causeway.Handle, o causeway.Owner, r Request) (by Lock, code causeway.Code) {
	m.step(func() { by, code = m.table.Lock(h, o, r) })
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
