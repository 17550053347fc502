// Package nlm is the front for byte-range locks of NFSv3 clients: the Network Lock Manager, program 100021, versions 4 (with
// NFSv3), 3 and 1 (with 32-bit offsets), and the Network Status Monitor, program 100024 version 1 (The Open Group, "Protocols for
// Interworking: XNFS, Version 3W", chapters 10, 11 and 14). It turns calls into those of gateway.Locker, calls clients back when
// a lock that they wait for is granted, keeps records of the clients that hold locks, tells them when their locks were lost with
// a restart, and releases the locks of clients that restart. What can be locked is decided elsewhere.
//
// A client is a host name at an address: what another host says about itself never touches its locks.
package nlm

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
	"causeway/internal/setting"
)

// Admitter says whether a client may use the object that a wire handle names, and fills c.Caller: export.Guard.
type Admitter interface {
	Admit(c *rpc.Call, wire []byte) (causeway.Handle, *causeway.Volume, *causeway.ExportRule, error)
}

// Locker is what the front needs of gateway.Access.
type Locker interface {
	gateway.Locker
	Subscribe(kind causeway.OwnerKind, e gateway.Events)
}

// Config says how the front works. Zero fields mean their defaults.
type Config struct {
	Locker  Locker
	Guard   Admitter
	Records Records
	// Told is called with the name of a client (as in lock owners) when it knows that it must reclaim its locks. May be nil.
	Told func(client string)
	// Name is the server's name in calls to clients; default the host's.
	Name string
	// Portmap asks clients for their ports.
	Portmap portmap.Client
	Log     *slog.Logger

	MaxClients        int           // clients with locks; default 10,000
	MaxClientsPerAddr int           // with one address; default 32
	CallTimeout       time.Duration // for one call to a client; default 5 s
	RetryMin          time.Duration // the first pause after a call to a client that failed, doubled each time; default 1 s
	RetryMax          time.Duration // default 30 s
	GrantTimeout      time.Duration // after which a granted lock that the client does not acknowledge is released; default 5 min
	NotifyTimeout     time.Duration // for how long clients are told of a restart; default 15 min
	Idle              time.Duration // after which a client without locks is forgotten; default 5 min
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Locker == nil:
		return errors.New("nlm: Locker is missing")
	case c.Guard == nil:
		return errors.New("nlm: Guard is missing")
	case c.Records == nil:
		return errors.New("nlm: Records is missing")
	}
	if c.Name == "" {
		c.Name, _ = os.Hostname()
	}
	if c.Name = c.Name[:min(len(c.Name), maxName)]; c.Name == "" {
		c.Name = "localhost"
	}
	if c.Told == nil {
		c.Told = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c.validateLimits()
}

func (c *Config) validateLimits() error {
	return errors.Join(
		setting.Positive("nlm: MaxClients", &c.MaxClients, 10_000),
		setting.Positive("nlm: MaxClientsPerAddr", &c.MaxClientsPerAddr, 32),
		setting.Positive("nlm: CallTimeout", &c.CallTimeout, 5*time.Second),
		setting.Positive("nlm: RetryMin", &c.RetryMin, time.Second),
		setting.Positive("nlm: RetryMax", &c.RetryMax, 30*time.Second),
		setting.Positive("nlm: GrantTimeout", &c.GrantTimeout, 5*time.Minute),
		setting.Positive("nlm: NotifyTimeout", &c.NotifyTimeout, 15*time.Minute),
		setting.Positive("nlm: Idle", &c.Idle, 5*time.Minute),
	)
}

// Service is the front. Handle serves NLM, NSM returns the handler of the status monitor.
type Service struct {
	cfg Config

	mu      sync.Mutex
	hosts   map[string]*host // by clientName
	perAddr map[netip.Addr]int
	peers   map[peerKey]*peer
	cookies map[uint64]*block
	cookie  uint64
	turns   chan struct{} // of those who tell clients of lost locks
	counts  Stats

	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// Stats counts, for metrics and status. All but the first three only rise.
type Stats struct {
	Clients, Waiting, Unacknowledged int
	Callbacks, CallbackFailures      uint64
	Notified, NotifyFailures         uint64
	Released                         uint64 // times that all locks of a client were released: it restarted, or said so
}

// New returns a Service that has subscribed to lock events. It calls no client before Start.
func New(c Config) (*Service, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg:     c,
		hosts:   make(map[string]*host),
		perAddr: make(map[netip.Addr]int),
		peers:   make(map[peerKey]*peer),
		turns:   make(chan struct{}, notifyAtOnce),
		cookies: make(map[uint64]*block),
		cookie:  uint64(time.Now().UnixNano()), // an answer to a call of an earlier life must match nothing
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, r := range c.Records.Known() {
		s.addLocked(r, true).notifying = true
	}
	for _, r := range c.Records.Mine() {
		if s.hosts[r.Client()] == nil && len(s.hosts) < c.MaxClients {
			s.addLocked(r, true)
		}
	}
	c.Locker.Subscribe(causeway.OwnerNLM, s)
	return s, nil
}

// Start tells the clients that are known from before that their locks were lost. The server must be listening: they reclaim at
// once.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hosts {
		if h.notifying {
			s.notifyLocked(h)
		}
	}
	s.tasks.Go(s.sweepNowAndThen)
}

// Lost tells clients that their locks were lost although this gateway has not restarted: those of a volume whose owner and its second
// copy are gone.
func (s *Service) Lost(list []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range list {
		h := s.hosts[r.Client()]
		if h == nil {
			h = s.addLocked(r, false)
		}
		if !h.notifying && s.ctx.Err() == nil {
			h.notifying = true
			s.notifyLocked(h)
		}
	}
}

func (s *Service) notifyLocked(h *host) {
	r := h.record
	s.tasks.Go(func() { s.notify(h, r) })
}

// Close stops calling clients and waits until nothing of the Service runs. Locks and records stay.
func (s *Service) Close() {
	s.mu.Lock()
	s.stop() // under mu: nobody begins a task behind it
	s.mu.Unlock()
	s.tasks.Wait()
}

// Stats returns the counts.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.counts
	n.Clients = len(s.hosts)
	for _, b := range s.cookies {
		if b.granted {
			n.Unacknowledged++
		} else {
			n.Waiting++
		}
	}
	return n
}
