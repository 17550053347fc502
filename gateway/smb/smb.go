// Package smb is the SMB 2 and 3 front: it serves every volume of a catalog as a share, over gateway.Access and gateway.Transfer.
// Connections, credits, sessions, tree connects and the commands are here; what stands on the wire is in wire, who logs on in auth,
// signatures and encryption in secure, information levels in fscc, names in names. It decides no rights but maps access masks to
// those that the engines check, and it never touches storage.
//
// A message is handled on the goroutine that read it as long as nothing has to wait; it moves to a goroutine of its own when a call
// says that it would (gateway.Caller.NoWait), or moves much data. Replies of messages that arrived together leave together.
package smb

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/wire"
	"causeway/gateway/spelling"
	"causeway/internal/buf"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("smb: server closed")

// Server serves SMB clients. Make it with New; all methods may be called by many goroutines.
type Server struct {
	cfg       Config
	logon     *auth.Authenticator
	started   time.Time
	pool      buf.Pool
	files     files
	alarms    alarms
	spellings spelling.Cache
	counts    counters
	guesses   guesses
	ctx       context.Context // of all requests; ends when Shutdown gives up waiting
	cancel    context.CancelFunc
	draining  atomic.Bool
	notices   atomic.Int64   // bytes of changes that watches hold
	listings  listings       // directories that are listed to find a spelling
	leaving   atomic.Bool    // clients are to go elsewhere: none log on
	running   sync.WaitGroup // every goroutine of the server

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	perClient map[netip.Addr]int
	clients   map[[16]byte][]*conn // that somebody has logged on to, by the client's GUID, oldest first; the lists are replaced
	sessions  map[uint64]*session
	halfOpen  []*session         // those without a user yet, oldest first
	perAddr   map[netip.Addr]int // sessions by the address that began them
}

// New returns a server that listens nowhere yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	logon, err := auth.New(cfg.Auth)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, logon: logon, started: cfg.Now(),
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
		perClient: map[netip.Addr]int{},
		clients:   map[[16]byte][]*conn{},
		sessions:  map[uint64]*session{},
		perAddr:   map[netip.Addr]int{},
		listings:  listings{of: map[uint32]int{}, less: make(chan struct{})},
	}
	s.files.init()
	s.guesses.init(s.started)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	cfg.Access.Subscribe(causeway.OwnerSMB, events{s})
	return s, nil
}

// Serve accepts connections until Shutdown, or until the listener fails for good. It closes l.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		l.Close()
		return ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	defer func() {
		l.Close()
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
		s.running.Done()
	}()
	life := uint64(0) // of the gateway, and one, if the listener says to which its connections belong
	if x, ok := l.(interface{ Life() uint64 }); ok {
		life = x.Life() + 1
	}
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.welcome(nc, life)
			continue
		}
		if s.draining.Load() {
			return ErrServerClosed
		}
		if t, ok := err.(interface{ Temporary() bool }); !ok || !t.Temporary() {
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.cfg.Logger.Warn("accept failed", "err", err)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
	}
}

// welcome starts to serve a connection, or closes it where there are too many.
func (s *Server) welcome(nc net.Conn, life uint64) {
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetNoDelay(true)
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 6})
	}
	c := newConn(s, nc)
	c.life = life
	s.mu.Lock()
	addr := c.remote
	refused := s.draining.Load() || len(s.conns) >= s.cfg.MaxConns || s.perClient[addr] >= s.cfg.MaxConnsPerClient
	if !refused {
		s.conns[c] = struct{}{}
		s.perClient[addr]++
		s.running.Add(1)
	}
	s.mu.Unlock()
	if refused {
		s.counts.refused.Add(1)
		nc.Close()
		return
	}
	go func() {
		defer s.running.Done()
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		if s.perClient[addr]--; s.perClient[addr] == 0 {
			delete(s.perClient, addr)
		}
		s.mu.Unlock()
	}()
}

// Shutdown stops listening and reading, lets the requests that run finish, sends their replies and closes. When ctx ends before
// that, it cancels them, closes all connections, and returns ctx's error without waiting for what does not come back.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	for l := range s.listeners {
		l.Close()
	}
	conns := s.connsLocked()
	s.mu.Unlock()
	for _, c := range conns {
		c.drain()
	}
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	for _, c := range conns {
		c.nc.Close()
	}
	return ctx.Err()
}

// Disconnect closes all connections to a local address that moves to another server.
func (s *Server) Disconnect(local netip.Addr) {
	s.mu.Lock()
	conns := s.connsLocked()
	s.mu.Unlock()
	for _, c := range conns {
		if c.local == local.Unmap() {
			c.nc.Close()
		}
	}
}

func (s *Server) connsLocked() []*conn {
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// randomID is an id that nobody can guess, neither zero nor all ones.
func randomID() uint64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if id := binary.LittleEndian.Uint64(b[:]); id != 0 && id != 1<<64-1 {
			return id
		}
	}
}

// addrOf returns the address of an endpoint, IPv4 as such; the zero Addr for what is no TCP.
func addrOf(a net.Addr) netip.Addr {
	t, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.Addr{}
	}
	return t.AddrPort().Addr().Unmap()
}

// filetime counts 100 ns since 1601 ([MS-DTYP] 2.3.3).
func filetime(t time.Time) uint64 {
	return uint64(t.Unix()+11644473600)*1e7 + uint64(t.Nanosecond()/100)
}

// maxTransfer is the largest READ, WRITE and other payload that is negotiated, in bytes; clients of 2.0.2 know nothing larger than
// maxTransferSmall.
const (
	maxTransfer      = 1 << 20
	maxTransferSmall = 64 << 10
)

// maxFrame bounds a message before it is read: a payload, headers, names, and what else a compound may hold.
const maxFrame = maxTransfer + 64<<10 + wire.TransformSize

// maxLogonFrame bounds it before anybody has logged on: a token has at most 64 KiB.
const maxLogonFrame = 68 << 10
