package discovery

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Config says where and how a Server answers.
type Config struct {
	Addresses []netip.AddrPort                                       // for UDP and TCP; port 0: one that is free for both
	Fresh     func() bool                                            // whether the zone is what the cluster knows now, else SERVFAIL; nil: always
	Secret    func() [16]byte                                        // of cookies, the same at all gateways; called once, after the first Publish; nil: random
	Rate      int                                                    // of replies by UDP in a second to one network (/24, /56) whose askers have no cookie, in units of 128 bytes each; default 1000; -1: any number
	Exempt    []netip.Prefix                                         // networks without that limit; nil: those of loopback
	MaxConns  int                                                    // TCP connections in all; default 256
	Idle      time.Duration                                          // how long one may wait for the next question; default 5s
	Life      time.Duration                                          // how long one may last; default 1m
	Control   func(network, address string, c syscall.RawConn) error // of net.ListenConfig; optional
	Now       func() time.Time                                       // default time.Now
	Log       *slog.Logger
}

// Validate sets defaults, and names the field that is wrong.
func (c *Config) Validate() error {
	switch {
	case len(c.Addresses) == 0:
		return errors.New("discovery: Addresses is empty")
	case c.Log == nil:
		return errors.New("discovery: Log is nil")
	case c.Rate < -1 || c.MaxConns < 0 || c.Idle < 0 || c.Life < 0:
		return fmt.Errorf("discovery: Rate %d, MaxConns %d, Idle %v, Life %v", c.Rate, c.MaxConns, c.Idle, c.Life)
	}
	for _, a := range c.Addresses {
		if !a.IsValid() || a.Addr().IsUnspecified() { // a reply has to leave from the address that was asked
			return fmt.Errorf("discovery: %v is not an address and port of this machine", a)
		}
	}
	if c.Fresh == nil {
		c.Fresh = func() bool { return true }
	}
	if c.Exempt == nil {
		c.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if c.Secret == nil {
		var secret [16]byte
		rand.Read(secret[:]) // never fails
		c.Secret = func() [16]byte { return secret }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Rate, c.MaxConns = cmp.Or(c.Rate, 1000), cmp.Or(c.MaxConns, 256)
	c.Idle, c.Life = cmp.Or(c.Idle, 5*time.Second), cmp.Or(c.Life, time.Minute)
	return nil
}

// Server answers questions about the zone that was published last. Before the first one it refuses all.
type Server struct {
	cfg       Config
	zone      atomic.Pointer[Zone]
	limit     *limiter // nil: none
	secret    func() [16]byte
	stats     counters
	addresses []netip.AddrPort
	packets   []*net.UDPConn
	listeners []net.Listener
	tasks     sync.WaitGroup
	closed    atomic.Bool

	mu     sync.Mutex
	conns  map[net.Conn]stream
	seq    uint64
	counts map[netip.Prefix]int
}

// Listen begins to answer at all addresses of the configuration, or at none.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, secret: sync.OnceValue(cfg.Secret), conns: map[net.Conn]stream{}, counts: map[netip.Prefix]int{}}
	if cfg.Rate > 0 {
		s.limit = newLimiter(cfg.Rate)
	}
	for _, at := range cfg.Addresses {
		if err := s.bind(ctx, at); err != nil {
			s.Close()
			return nil, err
		}
	}
	for _, c := range s.packets {
		for range min(runtime.GOMAXPROCS(0), 4) {
			s.tasks.Go(func() { s.servePackets(c) })
		}
	}
	for _, l := range s.listeners {
		s.tasks.Go(func() { s.serveStreams(l) })
	}
	return s, nil
}

// readBuffer holds a burst of some thousand questions, in bytes.
const readBuffer = 1 << 20

// bind takes a port of UDP and the same of TCP.
func (s *Server) bind(ctx context.Context, at netip.AddrPort) error {
	config, try := net.ListenConfig{Control: s.cfg.Control}, 0
	for {
		l, err := config.Listen(ctx, "tcp", at.String())
		if err != nil {
			return err
		}
		got := l.Addr().(*net.TCPAddr).AddrPort()
		c, err := config.ListenPacket(ctx, "udp", netip.AddrPortFrom(at.Addr(), got.Port()).String())
		if err == nil {
			_ = c.(*net.UDPConn).SetReadBuffer(readBuffer) // a smaller one works too
			s.listeners, s.packets = append(s.listeners, l), append(s.packets, c.(*net.UDPConn))
			s.addresses = append(s.addresses, netip.AddrPortFrom(at.Addr(), got.Port()))
			return nil
		}
		l.Close()
		if try++; at.Port() != 0 || try == 20 {
			return err
		}
	}
}

// Publish replaces what is answered.
func (s *Server) Publish(z *Zone) { s.zone.Store(z) }

// Addresses returns where it answers, with the ports that the system chose.
func (s *Server) Addresses() []netip.AddrPort { return s.addresses }

// Close stops answering, and returns when nothing is under way any more.
func (s *Server) Close() error {
	if s.closed.Swap(true) {
		s.tasks.Wait()
		return nil
	}
	var err error
	for _, c := range s.packets {
		err = errors.Join(err, c.Close())
	}
	for _, l := range s.listeners {
		err = errors.Join(err, l.Close())
	}
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.tasks.Wait()
	return err
}

// Stats is how often what happened, since the start.
type Stats struct {
	Answered  uint64 // with what was asked, or that it is not there though the name is
	Absent    uint64 // NXDOMAIN
	Refused   uint64 // other zones, transfers, other operations
	Malformed uint64
	Stale     uint64 // SERVFAIL: this gateway is cut off
	Limited   uint64 // truncated or not answered, so that nobody is flooded
	Conns     int    // TCP connections now
}

type counters struct{ answered, absent, refused, malformed, stale, limited atomic.Uint64 }

func (s *Server) count(c *atomic.Uint64) { c.Add(1) }

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	conns := len(s.conns)
	s.mu.Unlock()
	c := &s.stats
	return Stats{c.answered.Load(), c.absent.Load(), c.refused.Load(), c.malformed.Load(), c.stale.Load(), c.limited.Load(), conns}
}
