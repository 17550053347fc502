package peer

import (
	"bytes"
	"context"
	"sync/atomic"
	"syscall"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/faulty"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
	"causeway/gateway/transfer"
)

// without is the data part of a gateway that has no path of its own.
func (g *member) without(others func() []string) *transfer.Paths {
	return g.paths(func(causeway.VolumeID) bool { return false }, others)
}

func (g *member) paths(open func(causeway.VolumeID) bool, others func() []string) *transfer.Paths {
	g.site.Helper()
	proxy, err := NewProxy(ProxyConfig{Peers: g.peers})
	must(g.site, err)
	x, err := transfer.NewPaths(transfer.PathsConfig{Here: g.data, Via: proxy.Via, Open: open,
		Else: func(causeway.VolumeID) []string { return others() },
		Test: func(ctx context.Context, _ causeway.VolumeID) error {
			_, err := g.store.Stat(ctx, g.store.Root())
			return err
		},
		Lost: g.data.SyncFailed,
	})
	must(g.site, err)
	g.site.Cleanup(x.Close)
	return x
}

// dying is a site of three gateways whose second one's path to the storage can die.
func dying(t *testing.T) (s *site, path *faulty.Store, x *transfer.Paths) {
	one := mem.New(mem.Config{Generation: 1, Mode: 0o777, MaxBytes: 64 << 20})
	stores := []backend.Store{one, faulty.New(one, faulty.Config{}), one}
	i := 0
	s = newSite(t, options{gates: 3, store: func() backend.Store { i++; return stores[i-1] }})
	open := func(causeway.VolumeID) bool { return true }
	names := func(list ...string) func() []string { return func() []string { return list } }
	x = s.g[1].paths(open, names("g1", "g3"))
	for _, g := range []*member{s.g[0], s.g[2]} {
		services := g.peers.services
		services.Transfer = g.paths(open, names()).Own()
		g.peers.Offer(services)
	}
	return s, stores[1].(*faulty.Store), x
}

// TestPathDies: a gateway whose path to the storage dies in the middle of I/O goes on by way of another one, and by its own when that is
// back. Its client sees no error, and is told by the verifier that it must write again what was not synced.
func TestPathDies(t *testing.T) {
	s, own, x := dying(t)
	h, err := s.g[1].create("f")
	must(t, err)
	c := gatewaytest.Root()
	w, err := x.Write(t.Context(), c, h, 0, []byte("before"), causeway.Unstable)
	must(t, err)
	own.SetRules(faulty.Rule{Code: causeway.ErrIO, Cause: syscall.EIO})
	if w, err := x.Write(t.Context(), c, h, 6, []byte(", after"), causeway.Unstable); err != nil || w.N != 7 {
		t.Fatal(w, err)
	}
	synced, err := x.Sync(t.Context(), c, h, causeway.Span{Length: causeway.ToEOF})
	if err != nil || synced.Verifier == w.Verifier {
		t.Error("what may be lost is taken for stable", err)
	}
	until(t, "the path is dead", func() bool { return !x.Reaches(vol) })
	asked := own.Fired(faulty.OpOpen) + own.Fired(faulty.OpReadAt) + own.Fired(faulty.OpObjectStat)
	got := make([]byte, 20)
	r, err := x.Read(t.Context(), c, h, 0, got)
	if err != nil || string(got[:r.N]) != "before, after" {
		t.Errorf("%q, %v", got[:r.N], err)
	}
	if now := own.Fired(faulty.OpOpen) + own.Fired(faulty.OpReadAt) + own.Fired(faulty.OpObjectStat); now != asked {
		t.Error("a dead path is used")
	}
	own.SetRules()
	until(t, "the path is back", func() bool { return x.Reaches(vol) })
	away := x.Stats().Away
	again, err := x.Write(t.Context(), c, h, 0, []byte("Before"), causeway.Unstable)
	if err != nil || again.Verifier == w.Verifier || x.Stats().Away != away {
		t.Error("not by its own path, or with the verifier of before", err)
	}
}

// TestBadBlock: what no path can read is told, and costs no path its life.
func TestBadBlock(t *testing.T) {
	s, own, x := dying(t)
	h, err := s.g[1].create("f")
	must(t, err)
	_, err = x.Write(t.Context(), gatewaytest.Root(), h, 0, []byte("data"), causeway.FileSync)
	must(t, err)
	own.SetRules(faulty.Rule{Op: faulty.OpReadAt, Code: causeway.ErrIO, Cause: syscall.EIO})
	if r, err := x.Read(t.Context(), gatewaytest.Root(), h, 0, make([]byte, 4)); err != nil || r.N != 4 {
		t.Error("another path would have read it", r, err)
	}
	until(t, "the path was probed", func() bool { return x.Stats().Probes > 0 && x.Reaches(vol) && x.Stats().Dead == 0 })
	s.g[0].proxy.cut(true)
	s.g[2].proxy.cut(true)
	alone := s.g[1].paths(func(causeway.VolumeID) bool { return true }, func() []string { return nil })
	if _, err := alone.Read(t.Context(), gatewaytest.Root(), h, 0, make([]byte, 4)); causeway.CodeOf(err) != causeway.ErrIO {
		t.Error(err)
	}
}

// stalled holds up the first write.
type stalled struct {
	gateway.Transfer
	began, goOn chan struct{}
	never       bool // it is not even done later
	first       atomic.Bool
}

func (x *stalled) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	if !x.first.Swap(true) {
		close(x.began)
		if <-x.goOn; x.never {
			return gateway.WriteResult{}, causeway.ErrDelay
		}
	}
	return x.Transfer.Write(context.WithoutCancel(ctx), c, h, off, data, how)
}

// TestLateWrite: a write whose answer was lost is done again, and what is written after it stays, however late the first attempt is. As
// long as that may come, no other path is taken.
func TestLateWrite(t *testing.T) {
	s, _, _ := dying(t)
	x := s.g[1].without(func() []string { return []string{"g3", "g1"} })
	late := &stalled{Transfer: s.g[2].data, began: make(chan struct{}), goOn: make(chan struct{})}
	services := s.g[2].peers.services
	services.Transfer = late
	s.g[2].peers.Offer(services)
	h, err := s.g[1].create("f")
	must(t, err)
	write := func(data string) <-chan error {
		return goErr(func() error {
			_, err := x.Write(t.Context(), gatewaytest.Root(), h, 0, []byte(data), causeway.FileSync)
			return err
		})
	}
	first := write("first")
	<-late.began
	s.g[2].proxy.cut(false)
	until(t, "the answer is lost", func() bool { return x.Stats().Unsettled == 1 })
	select {
	case err := <-first:
		t.Error("acknowledged, while the same bytes may still come", err)
	default:
	}
	close(late.goOn)
	must(t, <-first)
	must(t, <-write("again"))
	if x.Stats().Unsettled != 0 {
		t.Error("it is settled")
	}
	got := make([]byte, 5)
	if _, err := x.Read(t.Context(), gatewaytest.Root(), h, 0, got); err != nil || !bytes.Equal(got, []byte("again")) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestUnsettledOver: once the gateway that may still write is no member any more, another one is asked.
func TestUnsettledOver(t *testing.T) {
	var gone atomic.Bool
	s := newSite(t, options{gates: 3, tune: func(c *Config) {
		c.Member = func(node string) (uint64, bool) { return 0, node != "g3" || !gone.Load() }
	}})
	for _, g := range s.g {
		services := g.peers.services
		services.Transfer = g.data
		g.peers.Offer(services)
	}
	late := &stalled{Transfer: s.g[2].data, began: make(chan struct{}), goOn: make(chan struct{}), never: true}
	services := s.g[2].peers.services
	services.Transfer = late
	s.g[2].peers.Offer(services)
	x := s.g[1].without(func() []string { return []string{"g3", "g1"} })
	h, err := s.g[1].create("f")
	must(t, err)
	done := goErr(func() error {
		_, err := x.Write(t.Context(), gatewaytest.Root(), h, 0, []byte("data"), causeway.FileSync)
		return err
	})
	<-late.began
	s.g[2].proxy.cut(true)
	until(t, "the answer is lost", func() bool { return x.Stats().Unsettled == 1 })
	gone.Store(true)
	if err := <-done; err != nil || x.Stats().Unsettled != 0 {
		t.Error(err)
	}
	close(late.goOn)
}
