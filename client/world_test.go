package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/client"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/aware"
	"causeway/gateway/replies"
	"causeway/gateway/transfer"
	"causeway/lockmgr"
)

// holder breaks the circle between access, which recalls grants, and transfer, which asks for them.
type holder struct{ gateway.Holder }

// world is a volume in memory behind several fronts, as a cluster is: what differs between them is the address.
type world struct {
	t       testing.TB
	catalog *gateway.Catalog
	access  gateway.Access
	data    gateway.Transfer
	cache   *cache
	fronts  map[string]*front
	where   []string
	off     atomic.Uint32 // ways that the operator has switched off
	mirrors atomic.Pointer[[]aware.Mirror]
	first   *causeway.Volume
	recalls *aware.Recalls
	attach  func(*causeway.Volume, backend.Store)

	mu   sync.Mutex
	list []aware.Gateway
}

// front is a gateway, as far as clients see it.
type front struct {
	server *aware.Server
	gate   *gatedListener
}

var rules = []causeway.ExportRule{
	{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Squash: causeway.NoRootSquash, AnonUID: causeway.Nobody, AnonGID: causeway.Nobody},
}

func newWorld(t testing.TB, gateways int, change func(*causeway.Volume)) *world {
	t.Helper()
	store, h := mem.New(mem.Config{Mode: 0o777}), &holder{}
	locks, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	engine := access.New(access.Config{Holder: h, Locks: locks})
	moves := transfer.New(transfer.Config{Grants: engine})
	recalls := &aware.Recalls{Holder: moves}
	h.Holder = recalls
	v := &causeway.Volume{ID: 7, Name: "v", Async: true, Exports: rules, Keys: []causeway.HandleKey{{ID: 1, Secret: [16]byte{1}}}}
	if change != nil {
		change(v)
	}
	w := &world{t: t, catalog: &gateway.Catalog{}, data: moves, cache: &cache{unstable: map[string]map[causeway.Handle][]func(){}, lives: map[string]byte{}},
		fronts: map[string]*front{}, first: v, recalls: recalls}
	w.attach = func(v *causeway.Volume, s backend.Store) {
		engine.Attach(v, s)
		moves.Attach(v.ID, s)
	}
	w.mirrors.Store(&[]aware.Mirror{{Volume: "v", Mirror: "copy"}})
	w.attach(v, store)
	if w.access, err = replies.New(replies.Config{Access: engine}); err != nil {
		t.Fatal(err)
	}
	w.access = &heard{accessPart: w.access}
	if err := w.catalog.Publish([]*causeway.Volume{v}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range w.fronts {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			f.server.Shutdown(ctx)
		}
		if err := errors.Join(moves.Close(), store.Close()); err != nil {
			t.Error(err)
		}
		locks.Close()
	})
	for i := range gateways {
		w.add("g" + string(rune('1'+i)))
	}
	return w
}

// lease is that of locks: longer than a busy machine may stop.
const lease = 4 * time.Second

// add starts a gateway.
func (w *world) add(name string) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	at := l.Addr().String()
	w.cache.unstable[at] = map[causeway.Handle][]func(){}
	server, err := aware.New(aware.Config{
		Access: &named{w.access, name}, Transfer: &faultyTransfer{w.data, w.cache, at}, Catalog: w.catalog, Log: slog.New(slog.DiscardHandler), Node: name,
		Gateways: w.gateways, Every: 20 * time.Millisecond, Lease: lease, WaysOff: func() uint8 { return uint8(w.off.Load()) },
		Mirrors: func() []aware.Mirror { return *w.mirrors.Load() },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	f := &front{server, &gatedListener{Listener: l}}
	go server.Serve(f.gate)
	w.fronts[at] = f
	w.where = append(w.where, at)
	w.mu.Lock()
	w.list = append(w.list, aware.Gateway{Node: name, Addresses: []netip.AddrPort{netip.MustParseAddrPort(at)}})
	w.mu.Unlock()
}

func (w *world) gateways() []aware.Gateway {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]aware.Gateway(nil), w.list...)
}

// end stops a gateway for good.
func (w *world) end(at string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.fronts[at].server.Shutdown(ctx)
}

// kill ends a gateway's connections, and lets none begin.
func (w *world) kill(at string) { w.fronts[at].gate.shut(true) }

// revive lets connections begin again.
func (w *world) revive(at string) { w.fronts[at].gate.shut(false) }

// dial connects a client that knows the gateway at.
func (w *world) dial(cfg client.Config, at ...string) *client.Client {
	w.t.Helper()
	if len(at) == 0 {
		at = w.where[:1]
	}
	if cfg.UID == nil {
		uid := uint32(1000)
		cfg.UID, cfg.GID = &uid, &uid
	}
	c, err := client.Dial(context.Background(), cfg, at...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func (w *world) volume(c *client.Client) *client.Volume {
	w.t.Helper()
	v, err := c.Volume(context.Background(), "v")
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// until waits for what will come.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			w.t.Fatalf("it never came about: %s", what)
		}
	}
}

// gatedListener can be shut like the port of a process that was killed.
type gatedListener struct {
	net.Listener
	mu    sync.Mutex
	dead  bool
	conns []net.Conn
	stall sync.RWMutex // locked while the gateway is held up
}

func (g *gatedListener) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		dead := g.dead
		if !dead {
			g.conns = append(g.conns, c)
		}
		g.mu.Unlock()
		if !dead {
			return &stalledConn{c, g}, nil
		}
		c.Close()
	}
}

func (g *gatedListener) shut(dead bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = dead
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
}

// stalledConn is read from only while the gateway runs.
type stalledConn struct {
	net.Conn
	g *gatedListener
}

func (s *stalledConn) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.g.stall.RLock()
	defer s.g.stall.RUnlock()
	return n, err
}

// open is how many connections there are.
func (g *gatedListener) open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

type accessPart interface{ gateway.Access }

// named says by way of which gateway locks are asked for, as the protocol between gateways does.
type named struct {
	accessPart
	name string
}

func (n *named) Lock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	c.Gateway = n.name
	return n.accessPart.Lock(ctx, c, h, s)
}

func (n *named) ReleaseVia(ctx context.Context, kind causeway.OwnerKind, client, _ string) error {
	return n.accessPart.ReleaseVia(ctx, kind, client, n.name)
}

// heard tells all fronts of events, as the protocol between gateways does.
type heard struct {
	accessPart
	mu     sync.Mutex
	fronts []gateway.Events
}

func (h *heard) Subscribe(kind causeway.OwnerKind, e gateway.Events) {
	h.mu.Lock()
	h.fronts = append(h.fronts, e)
	h.mu.Unlock()
	h.accessPart.Subscribe(kind, h)
}

func (h *heard) Deliver(ctx context.Context, e gateway.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.fronts {
		f.Deliver(ctx, e)
	}
	return nil
}

// cache is what the gateways' machines have not written to the storage that they share. Calls run one after the other: what is lost is lost at
// once, before anybody who has noticed writes it again.
type cache struct {
	mu       sync.Mutex
	unstable map[string]map[causeway.Handle][]func() // by gateway: how to undo it
	lives    map[string]byte
}

// faultyTransfer is that of a gateway that can lose what is not stable, as a machine that dies does.
type faultyTransfer struct {
	gateway.Transfer
	cache *cache
	at    string
}

// seenLocked makes what other gateways have not written yet be written: the machines agree on what is in a file.
func (c *cache) seenLocked(at string, h causeway.Handle) {
	for other, unstable := range c.unstable {
		if other != at {
			delete(unstable, h)
		}
	}
}

func (f *faultyTransfer) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte) (gateway.ReadResult, error) {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	f.cache.seenLocked(f.at, h)
	return f.Transfer.Read(ctx, c, h, off, data)
}

func (f *faultyTransfer) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	f.cache.seenLocked(f.at, h)
	before := make([]byte, len(data))
	old, err := f.Transfer.Read(ctx, &gateway.Caller{Cred: c.Cred}, h, off, before)
	if err != nil {
		return gateway.WriteResult{}, err
	}
	r, err := f.Transfer.Write(ctx, c, h, off, data, how)
	unstable := f.cache.unstable[f.at]
	switch {
	case err != nil:
	case how == causeway.Unstable:
		r.Stable = causeway.Unstable
		unstable[h] = append(unstable[h], func() {
			f.Transfer.Write(context.Background(), &gateway.Caller{}, h, off, append(before[:old.N], make([]byte, len(before)-old.N)...), causeway.FileSync)
		})
	default: // a stable write syncs the file
		delete(unstable, h)
	}
	r.Verifier[0] ^= f.cache.lives[f.at]
	return r, err
}

func (f *faultyTransfer) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) (gateway.SyncResult, error) {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	r, err := f.Transfer.Sync(ctx, c, h, s)
	if err == nil {
		delete(f.cache.unstable[f.at], h)
	}
	r.Verifier[0] ^= f.cache.lives[f.at]
	return r, err
}

// lose undoes what was written at a gateway and not synced.
func (w *world) lose(at string) {
	w.cache.mu.Lock()
	defer w.cache.mu.Unlock()
	for _, undo := range w.cache.unstable[at] {
		for i := range undo {
			undo[len(undo)-1-i]()
		}
	}
	clear(w.cache.unstable[at])
	w.cache.lives[at]++
}

var _ io.ReaderAt = (*client.File)(nil)
