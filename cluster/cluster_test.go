package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/cluster/ownership"
	"causeway/cluster/record"
	"causeway/internal/testport"
)

// gateway is what Hooks drive in these tests: it remembers what it may do, and complains when two may.
type gateway struct {
	t     *testing.T
	name  string
	world *world
	mu    sync.Mutex
	owned map[causeway.VolumeID]causeway.Epoch
	open  map[causeway.VolumeID]bool
	stuck bool // Pause does not return
	fail  bool // Acquire fails
	valid func() bool
}

// world is all gateways of a test.
type world struct {
	lease    time.Duration // of its gateways; 0: the usual
	t        *testing.T
	mu       sync.Mutex
	gateways map[string]*gateway
	epochs   map[causeway.VolumeID]causeway.Epoch // the latest that was acquired
}

func newWorld(t *testing.T) *world {
	return &world{t: t, gateways: make(map[string]*gateway), epochs: make(map[causeway.VolumeID]causeway.Epoch)}
}

func (w *world) gateway(name string) *gateway {
	g := &gateway{t: w.t, name: name, world: w, owned: make(map[causeway.VolumeID]causeway.Epoch), open: make(map[causeway.VolumeID]bool)}
	w.mu.Lock()
	w.gateways[name] = g
	w.mu.Unlock()
	return g
}

func (g *gateway) Pause(ctx context.Context, v causeway.VolumeID) error {
	g.mu.Lock()
	stuck := g.stuck
	if !stuck {
		g.open[v] = false
	}
	g.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (g *gateway) Resume(_ context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	g.mu.Lock()
	g.open[v] = true
	serves := g.owned[v] == e
	g.mu.Unlock()
	if !serves {
		return nil
	}
	g.world.mu.Lock()
	defer g.world.mu.Unlock()
	for _, other := range g.world.gateways {
		if other == g {
			continue
		}
		other.mu.Lock()
		if theirs, owns := other.owned[v]; owns && other.open[v] && other.valid != nil && other.valid() {
			g.t.Errorf("%v is served by %s at %v and by %s at %v", v, g.name, e, other.name, theirs)
		}
		other.mu.Unlock()
	}
	return nil
}

func (g *gateway) Acquire(_ context.Context, v *VolumeRecord, e causeway.Epoch) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail {
		return causeway.ErrIO
	}
	g.owned[v.ID] = e
	g.world.mu.Lock()
	defer g.world.mu.Unlock()
	if !g.world.epochs[v.ID].Before(e) {
		g.t.Errorf("%v: epoch %v after %v", v.ID, e, g.world.epochs[v.ID])
	}
	g.world.epochs[v.ID] = e
	return nil
}

func (g *gateway) Release(_ context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.owned[v] != e {
		g.t.Errorf("%s releases %v at %v, but has it at %v", g.name, v, e, g.owned[v])
	}
	delete(g.owned, v)
	return nil
}

func (g *gateway) Fence() {}

// spread places by hash: a node's volumes go to many when it leaves, and come back.
func spread(in ownership.Input) map[causeway.VolumeID]string {
	owners := make(map[causeway.VolumeID]string)
	for _, v := range in.Volumes {
		best := uint64(0)
		for _, n := range in.Nodes {
			h := fnv.New64a()
			fmt.Fprintf(h, "%d/%s", v.ID, n.Name)
			x := h.Sum64() * 0x9e3779b97f4a7c15
			if record.SharesDomain(n, v) && !in.Refused[v.ID][n.Name] && x > best {
				best, owners[v.ID] = x, n.Name
			}
		}
	}
	return owners
}

func testLog(t *testing.T) *slog.Logger {
	if os.Getenv("CAUSEWAY_TEST_LOG") == "" {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// member is a gateway of a test with its part of the cluster.
type member struct {
	*Cluster
	*gateway
	cfg Config
}

func freePort(t *testing.T) string { return testport.Free(t) }

func (w *world) config(name string) Config {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { door.Close() })
	return Config{Node: name, Dir: w.t.TempDir(), Door: door, Peer: door.Addr().String(), Place: spread, Log: testLog(w.t), LeaseTTL: w.lease,
		EnginePeer: freePort(w.t), EngineClient: freePort(w.t)}
}

func (w *world) start(cfg Config) *member {
	w.t.Helper()
	g := w.gateway(cfg.Node)
	cfg.Hooks = g
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	c, err := Start(ctx, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	g.mu.Lock()
	g.valid = c.Valid
	g.mu.Unlock()
	w.t.Cleanup(func() { c.Close() })
	return &member{c, g, cfg}
}

// first starts the first gateway of a cluster.
func (w *world) first(name string) *member {
	cfg := w.config(name)
	cfg.Bootstrap = true
	return w.start(cfg)
}

// join starts another gateway, with a token of m.
func (w *world) join(m *member, name string) *member {
	token, err := m.CreateToken(w.t.Context(), time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := w.config(name)
	cfg.Join, cfg.Token = m.cfg.Peer, token
	return w.start(cfg)
}

func volume(id causeway.VolumeID) *VolumeRecord {
	return &VolumeRecord{ID: id, Name: fmt.Sprint("v", id), Keys: []record.HandleKey{{ID: 1}}, Backend: "mem:x", Weight: 1,
		CanMigrate: true, Domain: record.AllDomain, DomainPolicy: record.Reach}
}

func (m *member) createVolumes(n int) {
	m.t.Helper()
	for i := range n {
		ok, err := m.Transact(m.t.Context(), record.CreateVolume(volume(causeway.VolumeID(i+1))))
		if err != nil || !ok {
			m.t.Fatal(ok, err)
		}
	}
}

// eventually waits for something that will come, and returns how long it took.
func eventually(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > 40*time.Second {
			t.Fatalf("it never came about: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

// served reports whether all volumes are served by one of the members, and open at all of them.
func served(volumes int, members ...*member) bool {
	for id := causeway.VolumeID(1); id <= causeway.VolumeID(volumes); id++ {
		owners := 0
		for _, m := range members {
			m.gateway.mu.Lock()
			if !m.open[id] {
				m.gateway.mu.Unlock()
				return false
			}
			if _, ok := m.owned[id]; ok {
				owners++
			}
			m.gateway.mu.Unlock()
		}
		if owners != 1 {
			return false
		}
	}
	return true
}

func (m *member) owns() int {
	m.gateway.mu.Lock()
	defer m.gateway.mu.Unlock()
	return len(m.owned)
}

// TestOneGateway runs a cluster of one, restarts it, and finds everything as it was, under newer epochs.
func TestOneGateway(t *testing.T) {
	w := newWorld(t)
	a := w.first("a")
	a.createVolumes(5)
	eventually(t, "volumes are served", func() bool { return served(5, a) })
	before := a.Table().Epoch(1)
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.owns() != 0 {
		t.Error("volumes are still owned after Stop")
	}
	cfg := a.cfg
	cfg.Door, cfg.Bootstrap = nil, false
	a = w.start(cfg)
	eventually(t, "volumes are served again", func() bool { return served(5, a) })
	if now := a.Table().Epoch(1); !before.Before(now) {
		t.Errorf("epoch %v after %v", now, before)
	}
}

// TestGrowth starts three gateways with tokens; the database grows to three servers, and the volumes spread.
func TestGrowth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first("a")
	a.createVolumes(12)
	eventually(t, "volumes are served", func() bool { return served(12, a) })
	b := w.join(a, "b")
	t.Logf("two gateways serve after %v", eventually(t, "volumes spread", func() bool { return served(12, a, b) && b.owns() > 0 }))
	c := w.join(a, "c")
	t.Logf("three gateways serve after %v", eventually(t, "volumes spread", func() bool { return served(12, a, b, c) && c.owns() > 0 }))
	t.Logf("three servers vote after %v", eventually(t, "three servers", func() bool { return voters(a) == 3 }))
	status := b.Status(t.Context())
	if len(status.Database.Servers) != 3 || status.Database.Advice != "3 of 3 servers answer: 1 may be lost" || status.Master != "a" ||
		len(status.Nodes) != 3 || len(status.Volumes) != 12 || !status.Volumes[11].Serving {
		t.Errorf("status %+v", status)
	}
	// Any two of three go on, the first one and its server included, at once.
	a.Close()
	eventually(t, "two go on without the first", func() bool { return served(12, b, c) })
	cfg := a.cfg
	cfg.Bootstrap, cfg.Door = false, nil
	a = w.start(cfg)
	eventually(t, "the first is back", func() bool { return served(12, a, b, c) && a.owns() > 0 })
	owners := b.cfg.Place(b.Input(false))
	for _, item := range b.Table().Items(record.KindVolume) {
		if id := item.Key.Volume; b.Table().Assigned(id) != owners[id] {
			t.Errorf("at rest, volume %v would move to %q", id, owners[id])
		}
	}
	if err := b.RemoveNode(t.Context(), "a"); !errors.Is(err, ErrRunning) {
		t.Error(err)
	}
}

// TestServersStartTogether: a server starts although another one that was invited has not, and so has no name yet: that one may wait for
// this one's.
func TestServersStartTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first("a")
	if _, err := a.client.MemberAddAsLearner(t.Context(), []string{"https://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	b, c := w.join(a, "b"), w.join(a, "c")
	eventually(t, "a server beside the one that does not start", func() bool { return b.server.Load() != nil || c.server.Load() != nil })
}

// TestRemoved: a gateway that was removed does not come back by being started, but with a token.
func TestRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first("a")
	b := w.join(a, "b")
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := func() error {
		cfg := b.cfg
		cfg.Door, cfg.Join, cfg.Token = nil, "", ""
		c, err := Start(t.Context(), cfg)
		if err == nil {
			err = c.Stop(t.Context())
		}
		return err
	}
	eventually(t, "b is gone", func() bool { return a.Table().Get(record.Named(record.KindMember, "b")) == nil })
	if err := again(); err != nil {
		t.Fatal("a gateway that was stopped:", err)
	}
	eventually(t, "b is removed", func() bool { return a.RemoveNode(t.Context(), "b") == nil })
	if err := again(); !errors.Is(err, ErrRemoved) || a.Table().Node("b") != nil {
		t.Fatal("a gateway that was removed:", err)
	}
	if err := os.RemoveAll(b.cfg.Dir); err != nil {
		t.Fatal(err)
	}
	w.join(a, "b")
}

// TestReplaceServer has a fourth gateway run the server of one that was removed.
func TestReplaceServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first("a")
	a.createVolumes(6)
	b, c := w.join(a, "b"), w.join(a, "c")
	eventually(t, "three servers", func() bool { return voters(a) == 3 })
	d := w.join(a, "d")
	eventually(t, "volumes are served", func() bool { return served(6, a, b, c, d) })
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c is gone", func() bool { return b.Table().Get(record.Named(record.KindMember, "c")) == nil })
	eventually(t, "c is removed", func() bool { return b.RemoveNode(t.Context(), "c") == nil || b.Table().Node("c") == nil })
	eventually(t, "d votes in its place", func() bool {
		status := b.Status(t.Context())
		return slices.Equal(status.Database.Voters(), []string{"a", "b", "d"})
	})
	if !served(6, a, b, d) {
		t.Error("volumes are not served")
	}
}

// TestServersNobodyRuns: a master that ended while it added a server, or an order to remove a node that was not carried out to its end, does not
// keep the database from having as many servers as it should.
func TestServersNobodyRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first("a")
	if _, err := a.client.MemberAddAsLearner(t.Context(), []string{"https://" + freePort(t)}); err != nil {
		t.Fatal(err)
	}
	b, c := w.join(a, "b"), w.join(a, "c")
	eventually(t, "three servers", func() bool { return voters(a) == 3 })
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c is gone", func() bool { return b.Table().Get(record.Named(record.KindMember, "c")) == nil })
	eventually(t, "its records are gone", func() bool {
		_, err := b.Transact(t.Context(), record.Txn{Then: []record.Op{record.Delete(record.Named(record.KindNode, "c")), record.Delete(record.Named(record.KindServer, "c"))}})
		return err == nil
	})
	d := w.join(b, "d")
	eventually(t, "d votes in its place", func() bool {
		status := d.Status(t.Context())
		return slices.Equal(status.Database.Voters(), []string{"a", "b", "d"})
	})
}

// TestAdmission lets nobody in without a good token of this cluster.
func TestAdmission(t *testing.T) {
	w := newWorld(t)
	a := w.first("a")
	other := newWorld(t).first("x")
	foreign, err := other.CreateToken(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	expired, err := a.CreateToken(t.Context(), -time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	good, err := a.CreateToken(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	forged := []byte(good)
	forged[20] ^= 1
	for _, c := range []struct{ what, name, token string }{
		{"no token", "b", ""}, {"a foreign token", "b", foreign}, {"an expired token", "b", expired}, {"a forged token", "b", string(forged)},
		{"the name of a running gateway", "a", good},
	} {
		cfg := w.config(c.name)
		cfg.Join, cfg.Token, cfg.Hooks = a.cfg.Peer, c.token, w.gateway("nobody")
		if cl, err := Start(t.Context(), cfg); err == nil {
			cl.Close()
			t.Errorf("%s was good enough", c.what)
		} else {
			t.Log(c.what+":", err)
		}
	}
}

func voters(m *member) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	list, err := m.client.MemberList(ctx)
	if err != nil {
		return 0
	}
	n := 0
	for _, m := range list.Members {
		if !m.IsLearner {
			n++
		}
	}
	return n
}
