package admin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readOnly is what everybody who can connect may see.
func (s *Server) readOnly() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /status", s.status)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Metrics.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "causeway\n/healthz\n/readyz\n/metrics\n/status\n")
	})
	return mux
}

// ownNames refuses requests that came to a loopback address under a name that is not this machine's for itself: a page in a
// browser here could make its own name mean that address, and read what only users of this machine may.
func ownNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		host := (&url.URL{Host: r.Host}).Hostname()
		if _, err := netip.ParseAddr(host); ok && at.IP.IsLoopback() && err != nil && !strings.EqualFold(host, "localhost") {
			http.Error(w, "say localhost or an address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// everything adds commands and profiles.
func (s *Server) everything() http.Handler {
	mux := s.readOnly()
	mux.HandleFunc("POST /command/{name}", s.command)
	for pattern, h := range s.cfg.Routes {
		mux.Handle(pattern, h)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// health says that the process works; it does until it is gone.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// ready says whether clients should be sent here.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if st := s.State(); st != Ready {
		http.Error(w, st.String(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(s.Status(r.Context())); err != nil {
		s.cfg.Logger.Debug("status not sent", "err", err)
	}
}

func (s *Server) command(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	run, ok := s.cfg.Commands[name]
	if !ok {
		http.Error(w, fmt.Sprintf("there is no command %q", name), http.StatusNotFound)
		return
	}
	s.cfg.Logger.Info("command", "op", name)
	text, err := run(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	fmt.Fprintln(w, text)
}

// maxConnections bounds the connections per listener: monitoring needs a handful.
const maxConnections = 64

// limited is a listener that accepts no more while so many connections are open; the kernel's queue holds the rest.
type limited struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

func newLimited(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

// Accept waits for a slot, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close ends waiting for a slot too.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	free func()
}

// Close gives the slot back.
func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
