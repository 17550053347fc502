// Package admin is the operator's interface of a gateway: health, metrics and status over HTTP, read-only, for monitoring;
// the same with commands and profiles over a unix socket, for the one who runs the process. It shows what it is given and
// knows nothing of protocols and storage.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// State is how far a gateway is.
type State int32

// The states, in the order in which they are passed.
const (
	Starting State = iota
	Ready
	Draining
)

// String returns the state as status shows it.
func (s State) String() string { return [...]string{"starting", "ready", "draining"}[s] }

// Config is what a Server is made of. Metrics is required.
type Config struct {
	Version  string
	Metrics  *Metrics
	Source   Source
	Commands map[string]Command // by name, over the unix socket only
	// Routes are more that is answered over the unix socket only, by pattern (net/http.ServeMux).
	Routes map[string]http.Handler
	Logger *slog.Logger
	Now    func() time.Time
}

// Command is something that the operator can order: POST /command/NAME. The text is shown to him.
type Command func(ctx context.Context) (text string, err error)

// Validate sets defaults.
func (c *Config) Validate() error {
	if c.Metrics == nil {
		return errors.New("admin: Metrics is missing")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Server answers the operator.
type Server struct {
	cfg     Config
	started time.Time
	state   atomic.Int32
	rates   rates

	readTimeout time.Duration // for a request over TCP

	mu      sync.Mutex
	servers []*http.Server
	running sync.WaitGroup
}

// New returns a server that answers on what it is given by ServeHTTP and ServeUnix.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, started: cfg.Now(), readTimeout: 30 * time.Second}
	s.rates.add(s.started, total{})
	if err := cfg.Metrics.registry.Register(sourceCollector{&s.cfg.Source}); err != nil {
		return nil, err
	}
	return s, nil
}

// Enter sets the state.
func (s *Server) Enter(state State) { s.state.Store(int32(state)) }

// State returns the state.
func (s *Server) State() State { return State(s.state.Load()) }

// ServeHTTP serves the read-only part on a listener, in the background, until Shutdown.
func (s *Server) ServeHTTP(l net.Listener) { s.serve(l, ownNames(s.readOnly()), s.readTimeout) }

// ServeUnix serves everything on a listener, in the background, until Shutdown. Who may connect to it may do everything.
func (s *Server) ServeUnix(l net.Listener) { s.serve(l, s.everything(), 0) } // a limit would cut profiles short

func (s *Server) serve(l net.Listener, h http.Handler, readTimeout time.Duration) {
	srv := &http.Server{
		Handler:           h,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute, // longer than the longest profile that one should take
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
	}
	s.mu.Lock()
	s.servers = append(s.servers, srv)
	s.mu.Unlock()
	s.running.Go(func() {
		if err := srv.Serve(newLimited(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Logger.Error("administration stopped", "address", l.Addr().String(), "err", err)
		}
	})
}

// Run samples the counters once a second, for the rates in status, until the context ends.
func (s *Server) Run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.rates.add(s.cfg.Now(), s.cfg.Metrics.totals())
		}
	}
}

// Shutdown lets running requests end, until the context does, and closes the listeners.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	var err error
	for _, srv := range servers {
		if e := srv.Shutdown(ctx); e != nil {
			err = errors.Join(err, e, srv.Close())
		}
	}
	s.running.Wait()
	return err
}
