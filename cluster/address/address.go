// Package address makes this machine answer for service addresses, the addresses that clients mount and that move to a
// survivor when their gateway dies.
//
// It belongs here how an address comes to this machine and leaves it (lifetimes that the process renews, announcements to
// the neighbours, probes for another holder), which clients are connected to it, and how the clients of a dead gateway are
// woken. It does not belong here which gateway should hold which address: the room above decides, and calls. Nothing here
// accepts connections either: a Listener that is handed in does.
//
// Three rules, each against a pause of seconds or minutes at the client:
//   - whoever takes an address listens before it is added, and whoever leaves removes it before the listener closes, so that
//     no client is ever refused;
//   - addresses have a lifetime, so that the kernel of a stopped process gives them up; a process that was stopped for longer
//     than that never takes them back by itself;
//   - every connection of a dead gateway gets a tickle: a segment that makes the client ask, and be reset, at once.
//
// Addresses of 127.0.0.0/8 and ::1, and all addresses on systems other than Linux, are only listened on.
package address

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"causeway"
)

// Listener is what answers clients at an address. Its methods are called by one goroutine per address at a time.
type Listener interface {
	// Listen starts to accept connections to addr, which is not yet an address of this machine: see Freebind.
	Listen(addr netip.Addr) error
	// Close accepts the connections that wait, stops to listen at addr and ends all connections to it, without a word to the
	// clients: see Abandon. The address is no longer this machine's. Closing what does not listen is no error.
	Close(addr netip.Addr) error
}

// Config says how a Manager works. The zero value of a field means its default.
type Config struct {
	Listener Listener // required
	// Interface carries all addresses. Default: for each address, the interface with a network that contains it.
	Interface string
	// Lifetime of an address without its process: whole seconds, at most a minute; default 2 s.
	Lifetime time.Duration
	// Renew is the time between two renewals, at most half of Lifetime; default 0.35 × Lifetime.
	Renew time.Duration
	// Probe is how long another holder of an address is looked for, at most 10 s; default 300 ms.
	Probe time.Duration
	// Entitled is asked before an address is added and before each renewal; if it returns false the address is given up. It
	// must not block. Default: always.
	Entitled func(netip.Addr) bool
	// Left is for how long others certainly leave all addresses to this gateway. No address is added or renewed whose lifetime is
	// longer, so that none outlives what it is held by. It must not block. Default: a day, always.
	Left func() time.Duration
	// Notify is told what happens to addresses, in order for each address. It must not block and must not call the Manager.
	Notify func(Event)
	// Guard clears up after this process if it is killed. Default: none, and clients are told that their connections have ended.
	Guard *Guard
	// Clock is a time that goes on while the process is stopped or the machine suspended; default CLOCK_BOOTTIME on Linux.
	Clock  func() time.Duration
	Logger *slog.Logger
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Listener == nil {
		return errors.New("address.Config.Listener: missing")
	}
	if c.Lifetime == 0 {
		c.Lifetime = 2 * time.Second
	}
	if c.Lifetime < time.Second || c.Lifetime > time.Minute || c.Lifetime%time.Second != 0 {
		return fmt.Errorf("address.Config.Lifetime: %v is not 1 to 60 whole seconds", c.Lifetime)
	}
	if c.Renew == 0 {
		c.Renew = c.Lifetime * 35 / 100
	}
	if c.Renew < 0 || c.Renew > c.Lifetime/2 {
		return fmt.Errorf("address.Config.Renew: %v is not between 0 and half of the lifetime %v", c.Renew, c.Lifetime)
	}
	if c.Probe == 0 {
		c.Probe = 300 * time.Millisecond
	}
	if c.Probe < 0 || c.Probe > 10*time.Second {
		return fmt.Errorf("address.Config.Probe: %v is not between 0 and 10s", c.Probe)
	}
	if c.Entitled == nil {
		c.Entitled = func(netip.Addr) bool { return true }
	}
	if c.Left == nil {
		c.Left = func() time.Duration { return 24 * time.Hour }
	}
	if c.Notify == nil {
		c.Notify = func(Event) {}
	}
	if c.Clock == nil {
		c.Clock = sinceBoot
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Manager holds service addresses on this machine. It is safe for concurrent use.
type Manager struct {
	cfg     Config
	machine machine // nil where addresses are only listened on

	mu       sync.Mutex
	holdings map[netip.Addr]*holding
	closed   bool
}

// machine is what a Manager needs of the system.
type machine interface {
	survey(addr netip.Addr, ifname string, lifetime time.Duration) (place, error) // where addr is or should be
	put(p place, addr netip.Addr, lifetime time.Duration, create bool) error      // adds (create: fails if it exists) or renews
	remove(p place, addr netip.Addr) error                                        // no error if it is not there
	bury(addr netip.Addr) error                                                   // ends what is left of connections at addr
	announce(p place, addr netip.Addr) error
	probe(ctx context.Context, p place, addr netip.Addr, wait time.Duration) (holder string, err error)
	close() error // ends the calls to changed
}

// place is where an address is, or should be.
type place struct {
	index   int
	name    string
	mac     [6]byte
	up      bool
	present bool // addr is there
	ours    bool // and was put there by a gateway: it is a single address with at most our lifetime
}

// New makes a Manager without addresses. On Linux it needs CAP_NET_ADMIN and CAP_NET_RAW as soon as an address that is not a
// loopback one is held.
func New(cfg Config) (*Manager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, holdings: map[netip.Addr]*holding{}}
	machine, err := newMachine(m.changed)
	if err != nil {
		return nil, &causeway.Error{Op: "address manager", Code: causeway.ErrServerFault, Err: err}
	}
	m.machine = machine
	return m, nil
}

// Held lists the addresses that this machine answers for through this Manager, with their states, in no order.
func (m *Manager) Held() map[netip.Addr]State {
	held := map[netip.Addr]State{}
	for _, h := range m.snapshot() {
		if s := h.now(); s != Free {
			held[h.addr] = s
		}
	}
	return held
}

func (m *Manager) snapshot() []*holding {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*holding, 0, len(m.holdings))
	for _, h := range m.holdings {
		all = append(all, h)
	}
	return all
}

// Close drops all addresses and ends. An operator's own addresses stay on the machine, without their listener.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	var errs []error
	for _, h := range m.snapshot() {
		errs = append(errs, m.drop(ctx, h, true))
	}
	if m.machine != nil {
		errs = append(errs, m.machine.close())
	}
	return errors.Join(errs...)
}

// changed wakes the keepers of addr, or all if addr is not valid: the system says that something happened to it.
func (m *Manager) changed(addr netip.Addr) {
	for _, h := range m.snapshot() {
		if addr.IsValid() && addr != h.addr {
			continue
		}
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// holding returns the holding of addr, which it makes.
func (m *Manager) holding(op string, addr netip.Addr) (*holding, error) {
	if addr.Is4In6() || !addr.IsValid() || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
		return nil, failure(op, addr, causeway.ErrInval, errors.New("not an address that clients can use"))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.holdings[addr]
	if h == nil {
		if m.closed {
			return nil, failure(op, addr, causeway.ErrClosed, nil)
		}
		h = &holding{addr: addr, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
		m.holdings[addr] = h
	}
	return h, nil
}
