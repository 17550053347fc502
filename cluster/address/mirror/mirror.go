// Package mirror gives every gateway a copy of what its peers answer for: which service addresses, and the connections of clients
// there. Who takes an address over wakes its clients by that, and who gets one back knows when it is free.
//
// Each gateway pushes its own state to all others over TLS, one connection to each: the whole of it first, then what changes. It
// belongs here how the state travels and how old it may be. It does not belong here who shall hold an address, nor how clients are
// woken (package address).
package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"causeway/cluster/address"
	"causeway/internal/doorman"
)

// Config says whose state is sent where. All is required but Interval, Linger, Changed and Log. Functions must not block.
type Config struct {
	Node    string
	Conns   func() ([]address.Conn, error) // of this gateway's clients, to addresses that can move
	Held    func() []netip.Addr            // the service addresses that this gateway answers for
	Peers   func() map[string]string       // where the others listen, host:port by node, without this one
	Member  func(node string) bool         // whether a node is of the cluster still: certificates outlive that
	Client  func() *tls.Config             // must trust the cluster only
	Server  func() *tls.Config             // must demand certificates of the cluster
	Changed func()                         // a peer holds other addresses than before, or came, or went
	// Interval is the time between two looks at the connections, at least; more where a look costs much. 10 ms to a minute, default 100 ms.
	Interval time.Duration
	// Linger is how long the connections of an address stay in the state after it was given up; default 10 s.
	Linger time.Duration
	Log    *slog.Logger
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	for name, missing := range map[string]bool{
		"Node": c.Node == "", "Conns": c.Conns == nil, "Held": c.Held == nil, "Peers": c.Peers == nil, "Member": c.Member == nil,
		"Client": c.Client == nil, "Server": c.Server == nil,
	} {
		if missing {
			return fmt.Errorf("mirror.Config.%s: missing", name)
		}
	}
	if c.Interval == 0 {
		c.Interval = 100 * time.Millisecond
	}
	if c.Interval < 10*time.Millisecond || c.Interval > time.Minute {
		return fmt.Errorf("mirror.Config.Interval: %v is not within 10ms to 1m", c.Interval)
	}
	if c.Linger == 0 {
		c.Linger = 10 * time.Second
	}
	if c.Linger < 0 {
		return fmt.Errorf("mirror.Config.Linger: %v is negative", c.Linger)
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Mirror sends this gateway's state and keeps the others'. It is safe for concurrent use.
type Mirror struct {
	cfg    Config
	source source
	poke   chan struct{}
	door   doorman.Doorman

	arrived chan struct{} // a connection came

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	listener net.Listener
	guests   map[net.Conn]struct{}
	copies   map[string]*replica
}

// replica is the last state of a peer. It stays when the peer is gone: then it is needed.
type replica struct {
	conn  net.Conn // nil: the peer is gone
	told  bool     // it said over conn what it holds
	table address.Table
	held  []netip.Addr
}

// New returns a Mirror that sends to the peers already.
func New(cfg Config) (*Mirror, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Mirror{cfg: cfg, poke: make(chan struct{}, 1), arrived: make(chan struct{}, 1), guests: make(map[net.Conn]struct{}), copies: make(map[string]*replica)}
	m.door.Total, m.door.PerAddr = maxStrangers, maxStrangersPerAddr
	m.source.init()
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.tasks.Go(m.run)
	return m, nil
}

// Poke has the state and the peers looked at now.
func (m *Mirror) Poke() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// Arrived has the state looked at soon: a client has connected, and nobody else knows of it yet.
func (m *Mirror) Arrived() {
	select {
	case m.arrived <- struct{}{}:
	default:
	}
}

// Conns lists the connections to an address that peers have, or had when they were last heard of.
func (m *Mirror) Conns(addr netip.Addr) []address.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []address.Conn
	for _, r := range m.copies {
		all = append(all, r.table.Conns(addr)...)
	}
	return all
}

// Holder returns a peer that says, over a connection that stands, that it answers for an address; "" if none does.
func (m *Mirror) Holder(addr netip.Addr) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, r := range m.copies {
		if r.conn != nil && slices.Contains(r.held, addr) {
			return name
		}
	}
	return ""
}

// Hears reports whether a peer has said what it holds over a connection that stands: it has started to serve, and its release of an
// address would be noticed.
func (m *Mirror) Hears(node string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.copies[node]
	return r != nil && r.conn != nil && r.told
}

// Close ends all connections.
func (m *Mirror) Close() error {
	m.mu.Lock()
	m.closed = true
	var err error
	if m.listener != nil {
		err = m.listener.Close()
	}
	for c := range m.guests {
		_ = c.Close()
	}
	m.mu.Unlock()
	m.cancel()
	m.tasks.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// prune forgets nodes that the cluster has forgotten.
func (m *Mirror) prune() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, r := range m.copies {
		if r.conn == nil && !m.cfg.Member(name) {
			delete(m.copies, name)
		}
	}
}
