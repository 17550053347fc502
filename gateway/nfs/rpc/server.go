package rpc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway/internal/buf"
	"causeway/internal/crew"
	"causeway/internal/sleep"
)

// ErrServerClosed is what Serve and ServePacket return after Shutdown.
var ErrServerClosed = errors.New("rpc: server closed")

// Server answers calls. Make it with NewServer; all methods may be called by many goroutines.
type Server struct {
	cfg      Config
	programs atomic.Pointer[[]program]
	pool     buf.Pool
	calls    gate // calls in goroutines
	bytes    gate // large buffers
	workers  workerList
	crew     crew.Crew // for calls that wait
	watch    watch
	loops    loops
	counts   counters
	epoch    time.Time

	ctx      context.Context // of all calls; ends when Shutdown gives up waiting
	cancel   context.CancelFunc
	draining atomic.Bool
	running  sync.WaitGroup // every goroutine of the server

	mu        sync.Mutex
	listeners map[interface{ Close() error }]struct{}
	conns     map[*conn]struct{}
	clients   map[netip.Addr]*client
	sweeping  bool
	ending    bool
	ended     chan struct{} // closed when the server drains and no connection is left
}

// maxSpare is how many goroutines wait for calls that wait.
const maxSpare = 64

// program is one program with its versions, ascending.
type program struct {
	number   uint32
	versions []versionHandler
}

type versionHandler struct {
	number  uint32
	handler Handler
}

// client is what connections from one address share.
type client struct {
	addr  netip.Addr
	conns int // guarded by Server.mu
	newest
	calls gate
	bytes gate // large buffers
	turns turns
}

// NewServer returns a server without programs that listens nowhere yet.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       cfg,
		epoch:     time.Now(),
		listeners: map[interface{ Close() error }]struct{}{},
		conns:     map[*conn]struct{}{},
		clients:   map[netip.Addr]*client{},
		ended:     make(chan struct{}),
	}
	s.calls.max, s.bytes.max = int64(cfg.MaxCalls), cfg.MaxBytes
	s.crew = crew.New(maxSpare, s.ended)
	s.watch.roused = newSignal()
	s.programs.Store(&[]program{})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Register makes h answer a version of a program, in place of what did so before.
func (s *Server) Register(prog, vers uint32, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	programs := slices.Clone(*s.programs.Load())
	at := slices.IndexFunc(programs, func(p program) bool { return p.number == prog })
	if at < 0 {
		at = len(programs)
		programs = append(programs, program{number: prog})
	}
	versions := slices.Clone(programs[at].versions)
	versions = slices.DeleteFunc(versions, func(v versionHandler) bool { return v.number == vers })
	versions = append(versions, versionHandler{vers, h})
	slices.SortFunc(versions, func(a, b versionHandler) int { return int(int64(a.number) - int64(b.number)) })
	programs[at].versions = versions
	s.programs.Store(&programs)
}

// now is the time since the server was made: one reading of the monotonic clock, cheaper than time.Now.
func (s *Server) now() time.Duration { return time.Since(s.epoch) }

// listen registers something to be closed by Shutdown.
func (s *Server) listen(l interface{ Close() error }) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		l.Close()
		return ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	return nil
}

func (s *Server) unlisten(l interface{ Close() error }) {
	l.Close()
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	s.running.Done()
}

// Serve accepts connections until Shutdown, or until the listener fails for good. It closes l. A listener may say by a method Life() uint64
// to which life of the gateway its connections belong: their calls carry it, so that one that is held up is recognized.
func (s *Server) Serve(l net.Listener) error {
	if err := s.listen(l); err != nil {
		return err
	}
	defer s.unlisten(l)
	life := uint64(0)
	if x, ok := l.(interface{ Life() uint64 }); ok {
		life = x.Life() + 1
	}
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.welcome(nc, life)
		case s.draining.Load():
			return ErrServerClosed
		case isTransient(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.cfg.Logger.Warn("accept failed", "err", err)
			sleep.For(s.ctx, pause)
		default:
			return err
		}
	}
}

// isTransient reports an error of accept that passes: no descriptors, a connection that is gone already.
func isTransient(err error) bool {
	t, ok := err.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

// welcome starts to serve a connection, or closes it where there are too many.
func (s *Server) welcome(nc net.Conn, life uint64) {
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetNoDelay(true)
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 6})
	}
	c := &conn{srv: s, remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr()), since: s.now(), life: life}
	c.lastCall.Store(int64(c.since))
	c.replies.max = int64(s.cfg.MaxQueued)
	c.port = s.newPort(c, nc)
	if !s.admit(c) {
		s.counts.refusedConns.Add(1)
		c.port.close()
		return
	}
	c.port.start()
}

// admit registers a connection, unless it is one too many or the server stops.
func (s *Server) admit(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr := c.remote.Addr()
	cl := s.clients[addr]
	if s.draining.Load() || len(s.conns) >= s.cfg.MaxConns || cl != nil && cl.conns >= s.cfg.MaxConnsPerClient {
		return false
	}
	if cl == nil {
		cl = &client{addr: addr}
		cl.calls.max, cl.bytes.max = int64(s.cfg.MaxCallsPerClient), s.cfg.MaxBytes/2
		s.clients[addr] = cl
	}
	cl.conns++
	c.client = cl
	c.number = cl.came(c.since)
	s.conns[c] = struct{}{}
	s.running.Add(1) // until forget
	if !s.sweeping {
		s.sweeping = true
		s.running.Add(2)
		go s.sweep()
		go s.runWatchdog()
	}
	return true
}

// forget is the end of a connection.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if c.client.conns--; c.client.conns == 0 {
		delete(s.clients, c.client.addr)
	}
	s.endLocked()
	s.mu.Unlock()
	s.running.Done()
}

// endLocked stops the server's own goroutines when the last connection of a draining server is gone.
func (s *Server) endLocked() {
	if s.draining.Load() && len(s.conns) == 0 && !s.ending {
		s.ending = true
		close(s.ended)
	}
}

// snapshot returns the connections that there are.
func (s *Server) snapshot() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// Disconnect ends all connections to a local address that moves to another server: the replies of calls that run are lost, and clients
// ask there.
func (s *Server) Disconnect(local netip.Addr) {
	for _, c := range s.snapshot() {
		if c.local.Addr() == local.Unmap() {
			c.fail(ErrServerClosed)
		}
	}
}

// Shutdown stops listening and reading, lets the calls that run finish, sends their replies and closes. When ctx ends before that,
// it cancels the context of the calls and closes all connections; it returns ctx's error then, without waiting for handlers that
// do not come back.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	s.endLocked()
	for l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	for _, c := range s.snapshot() {
		c.port.stop()
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
	for _, c := range s.snapshot() {
		c.fail(ErrServerClosed)
	}
	return ctx.Err()
}

// addrPort returns the address of a TCP or UDP endpoint, IPv4 as such; the zero AddrPort for others.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
