package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	lockd "causeway/gateway/nfs/nlm"
	"causeway/gateway/nfs/rpc"
	"causeway/internal/buf"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("relay: server closed")

// Program is a version of an RPC program.
type Program struct{ Number, Version uint32 }

// ServerConfig says what a Server answers with.
type ServerConfig struct {
	TLS      *tls.Config             // must demand certificates of the cluster: what a peer says of a client is believed
	Handlers map[Program]rpc.Handler // the gateway's own: not those that relay
	Catalog  *gateway.Catalog

	// Owns tells in which epoch this gateway administers a volume; ok is false if it does not. It must not block.
	Owns func(causeway.VolumeID) (epoch causeway.Epoch, ok bool)

	// CallClient makes calls to clients from an address that this gateway has; nil: none.
	CallClient func(context.Context, lockd.Callback) ([]byte, error)

	// Member tells whether a node is of the cluster now, and since which joining of it: certificates outlive both. A call that was
	// sent before the node was fenced may arrive after its client had another gateway do the same, and more, so calls count only
	// while the joining lasts that there was when their connection was made. Nil: all that have a certificate are members for ever.
	Member func(node string) (joining uint64, ok bool)

	MaxConns     int           // default 1,024
	MaxCalls     int           // in execution, of all peers; default 1,024. Each may hold MaxFrame bytes twice
	MaxFrame     int           // bytes; default 1 MiB + 128 KiB; the same at all gateways
	Handshake    time.Duration // default 5 s
	WriteTimeout time.Duration // default 2 s
	Log          *slog.Logger  // nil: silent
}

// Validate sets defaults and names the field at fault.
func (c *ServerConfig) Validate() error {
	switch {
	case c.TLS == nil:
		return errors.New("relay: TLS is needed")
	case len(c.Handlers) == 0:
		return errors.New("relay: Handlers are needed")
	case c.Catalog == nil:
		return errors.New("relay: Catalog is needed")
	case c.Owns == nil:
		return errors.New("relay: Owns is needed")
	}
	if c.Member == nil {
		c.Member = func(string) (uint64, bool) { return 0, true }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return errors.Join(
		positive("MaxConns", &c.MaxConns, 1024), positive("MaxCalls", &c.MaxCalls, 1024), frameLimit(&c.MaxFrame),
		positive("Handshake", &c.Handshake, 5*time.Second), positive("WriteTimeout", &c.WriteTimeout, 2*time.Second),
	)
}

// Server answers the calls that other gateways send.
type Server struct {
	cfg   ServerConfig
	pool  buf.Pool
	calls chan struct{} // holds one per call in execution

	ctx     context.Context // of calls that must not be given up half done; ends when Shutdown gives up waiting
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	draining  bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
}

// NewServer returns a Server that listens nowhere yet.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, calls: make(chan struct{}, cfg.MaxCalls),
		listeners: make(map[net.Listener]struct{}), conns: make(map[*conn]struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Serve accepts peers until Shutdown, or until the listener fails for good. The listener is a plain one, and is closed.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		l.Close()
		return ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		l.Close()
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	for {
		nc, err := l.Accept()
		if err == nil {
			s.welcome(nc)
			continue
		}
		s.mu.Lock()
		draining := s.draining
		s.mu.Unlock()
		if draining {
			return ErrServerClosed
		}
		if t, ok := err.(interface{ Temporary() bool }); !ok || !t.Temporary() {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond): // no descriptors: some come back
		case <-s.ctx.Done():
		}
	}
}

// welcome serves a connection in a goroutine of its own, or closes it where there are too many.
func (s *Server) welcome(nc net.Conn) {
	c := &conn{srv: s, cancels: make(map[uint64]context.CancelFunc)}
	c.stream = newStream(nc, func(under net.Conn) *tls.Conn { return tls.Server(under, s.cfg.TLS) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining || len(s.conns) >= s.cfg.MaxConns {
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
		c.serve()
	})
}

// Shutdown stops listening and reading, lets the calls in execution finish, sends their answers and closes. When ctx ends before
// that, it cancels the calls, closes all connections, and returns ctx's error without waiting for handlers that do not come back.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.stream.under.SetReadDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.stream.Close() // first: what cancelling makes of a call is no answer
	}
	return ctx.Err()
}
