package address

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"causeway"
)

// port is where the gateways of the tests serve.
const port = 2049

const (
	gatewayEnv  = "CWADDR_GATEWAY"
	lifetimeEnv = "CWADDR_LIFETIME"
	leftEnv     = "CWADDR_LEFT"
	guardEnv    = "CWADDR_UNGUARDED"
)

// TestMain is also the gateway process of the tests: a Manager with a server that answers every line with the gateway's name.
func TestMain(m *testing.M) {
	if name := os.Getenv(gatewayEnv); name != "" {
		if err := gatewayMain(name, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// report is a line from a gateway process: an answer, or an event.
type report struct {
	Event *Event `json:",omitempty"`
	Err   string
	Code  causeway.Code
	Conns []Conn
	Held  map[netip.Addr]State
	Sent  int
}

type order struct {
	Do      string
	Addr    netip.Addr
	Conns   []Conn
	Tickler Tickler
	Look    int
}

func gatewayMain(name string, in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	lines := json.NewEncoder(out)
	say := func(r report) {
		mu.Lock()
		defer mu.Unlock()
		_ = lines.Encode(r)
	}
	var guard *Guard
	if os.Getenv(guardEnv) == "" {
		made, err := NewGuard()
		if err != nil {
			return err
		}
		guard = made
	}
	lifetime, err := time.ParseDuration(os.Getenv(lifetimeEnv))
	if err != nil {
		return err
	}
	w := &world{term: time.Hour}
	if os.Getenv(leftEnv) != "" {
		w.term = lifetime * 3 / 2
	}
	w.left.Store(int64(w.term))
	cfg := Config{
		Lifetime: lifetime, Renew: lifetime * 4 / 10,
		Clock:    w.now,
		Guard:    guard,
		Left:     func() time.Duration { return time.Duration(w.left.Load()) },
		Entitled: func(netip.Addr) bool { return !w.denied.Load() },
		Listener: &nameServer{name: name, listeners: map[netip.Addr]served{}},
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", name),
		Notify: func(e Event) {
			if e.Err != nil {
				e.Err = errors.New(e.Err.Error())
			}
			say(report{Event: &Event{Kind: e.Kind, Addr: e.Addr, State: e.State, Interface: e.Interface, Holder: e.Holder}})
		},
	}
	m, err := New(cfg)
	if err != nil {
		return err
	}
	orders := json.NewDecoder(in)
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			return m.Close(context.Background())
		}
		say(obey(m, w, o))
	}
}

func obey(m *Manager, w *world, o order) (r report) {
	var err error
	switch ctx := context.Background(); o.Do {
	case "hold":
		err = m.Hold(ctx, o.Addr)
	case "take over":
		err = m.TakeOver(ctx, o.Addr)
	case "drop":
		err = m.Drop(ctx, o.Addr)
	case "conns":
		r.Conns, err = m.Conns(port)
	case "tickle":
		r.Sent, err = o.Tickler.Tickle(ctx, o.Conns)
	case "sleep":
		w.sleepAt(o.Look)
	case "disentitle":
		w.denied.Store(true)
	case "entitle":
		w.denied.Store(false)
	case "last call":
		w.left.Store(1)
	case "go on":
		w.left.Store(int64(w.term))
	case "held":
		r.Held = m.Held()
	}
	if err != nil {
		r.Err, r.Code = err.Error(), causeway.CodeOf(err)
	}
	return r
}

// world is what a gateway process lives in.
type world struct {
	term   time.Duration // for how long others leave addresses to it
	denied atomic.Bool
	left   atomic.Int64

	mu    sync.Mutex
	ahead time.Duration
	looks int // until the clock jumps
}

// now is the clock. At the appointed look two hours have gone by, as after SIGSTOP.
func (w *world) now() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.looks--; w.looks == 0 {
		w.ahead += 2 * time.Hour
	}
	return sinceBoot() + w.ahead
}

func (w *world) sleepAt(look int) {
	w.mu.Lock()
	w.looks = look
	w.mu.Unlock()
}

// nameServer is a Listener that answers every line with its name.
type nameServer struct {
	name string

	mu        sync.Mutex
	listeners map[netip.Addr]served
}

type served struct {
	*net.TCPListener
	done chan struct{} // nothing is accepted any more
}

func (s *nameServer) Listen(addr netip.Addr) error {
	config := net.ListenConfig{Control: Freebind}
	l, err := config.Listen(context.Background(), "tcp", netip.AddrPortFrom(addr, port).String())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.listeners[addr]; ok {
		return errors.Join(fmt.Errorf("listens on %v already", addr), l.Close())
	}
	s.listeners[addr] = served{l.(*net.TCPListener), make(chan struct{})}
	go s.accept(s.listeners[addr])
	return nil
}

func (s *nameServer) accept(l served) {
	defer close(l.done)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go s.serve(c)
	}
}

func (s *nameServer) serve(c net.Conn) {
	for lines := bufio.NewScanner(c); lines.Scan(); {
		_, _ = c.Write([]byte(s.name + "\n"))
	}
	_ = c.Close()
}

func (s *nameServer) Close(addr netip.Addr) error {
	s.mu.Lock()
	l, ok := s.listeners[addr]
	delete(s.listeners, addr)
	s.mu.Unlock()
	if !ok {
		return nil
	}
	_ = l.SetDeadline(time.Now().Add(5 * time.Millisecond)) // accepts what waits
	<-l.done
	_, err := Abandon(addr)
	return errors.Join(err, l.Close())
}

// gateway is a gateway process on a host.
type gateway struct {
	*host
	name    string
	process *os.Process
	orders  *json.Encoder
	answers chan report
	events  chan Event
}

// gateway starts a gateway process on h, whose addresses live for 2 s without it, and are left to it for an hour.
func (h *host) gateway(name string) *gateway { return h.gatewayWith(name, 2*time.Second) }

func (h *host) gatewayWith(name string, lifetime time.Duration, env ...string) *gateway {
	h.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), gatewayEnv+"="+name, lifetimeEnv+"="+lifetime.String()), env...)
	cmd.Stderr = testLog{h.t, name}
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.start(cmd); err != nil {
		h.t.Fatal(err)
	}
	g := &gateway{host: h, name: name, process: cmd.Process, orders: json.NewEncoder(in), answers: make(chan report, 1), events: make(chan Event, 1000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := json.NewDecoder(out); ; {
			var r report
			if err := lines.Decode(&r); err != nil {
				return
			}
			if r.Event != nil {
				g.events <- *r.Event
			} else {
				g.answers <- r
			}
		}
	}()
	h.t.Cleanup(func() { g.signal(syscall.SIGKILL); _ = in.Close(); <-read; _ = cmd.Wait() })
	g.ask(order{Do: "held"}) // it runs
	return g
}

type testLog struct {
	t    testing.TB
	name string
}

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s: %s", l.name, strings.TrimSpace(string(b)))
	return len(b), nil
}

func (g *gateway) signal(s os.Signal) { _ = g.process.Signal(s) }

func (g *gateway) ask(o order) report {
	g.t.Helper()
	if err := g.orders.Encode(o); err != nil {
		g.t.Fatal(err)
	}
	select {
	case r := <-g.answers:
		return r
	case <-time.After(bound):
		g.t.Fatalf("%s does not answer to %q", g.name, o.Do)
		return report{}
	}
}

// must gives an order that must succeed: again to one that a busy machine has stopped meanwhile, and that asks for that.
func (g *gateway) must(do string, addr netip.Addr) {
	g.t.Helper()
	for end := time.Now().Add(bound); ; {
		r := g.ask(order{Do: do, Addr: addr})
		if r.Err == "" {
			return
		}
		if r.Code != causeway.ErrPerm || time.Now().After(end) {
			g.t.Fatalf("%s: %s", g.name, r.Err)
		}
	}
}

// awaits waits for an event and returns it; others before it are passed over.
func (g *gateway) awaits(kind Kind, addr netip.Addr) Event {
	g.t.Helper()
	for timeout := time.After(bound); ; {
		select {
		case e := <-g.events:
			if e.Kind == kind && e.Addr == addr {
				return e
			}
		case <-timeout:
			g.t.Fatalf("%s: no event %v for %v", g.name, kind, addr)
		}
	}
}

// saw reports whether there was an event, and takes all in.
func (g *gateway) saw(kind Kind, addr netip.Addr) (seen bool) {
	for {
		select {
		case e := <-g.events:
			seen = seen || e.Kind == kind && e.Addr == addr
		default:
			return seen
		}
	}
}

// whoAnswers connects from h and asks the server's name, until somebody answers; empty if nobody does.
func (h *host) whoAnswers(addr netip.Addr) (name string) {
	for end := time.Now().Add(bound); name == "" && time.Now().Before(end); {
		name = h.tryName(addr)
	}
	return name
}

// tryName is whoAnswers, asked once.
func (h *host) tryName(addr netip.Addr) string {
	c, err := h.dial(addr)
	if err != nil {
		return ""
	}
	defer c.Close()
	return askName(c)
}

func askName(c net.Conn) string {
	_ = c.SetDeadline(time.Now().Add(bound))
	if _, err := c.Write([]byte("?\n")); err != nil {
		return ""
	}
	name, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(name)
}
