package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/cluster/engine"
	"causeway/cluster/pki"
	"causeway/cluster/record"
)

// database3 is a database of three servers, apart from the gateways, so that either can fail alone.
type database3 struct {
	t        *testing.T
	servers  []*engine.Server
	client   *tls.Config
	identity string
}

func startDatabase(t *testing.T) *database3 {
	authority, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	request, _ := pki.NewRequest()
	der, _ := request.DER("servers", []string{"127.0.0.1"})
	certificate, err := authority.Issue(der, "servers", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trusted, _ := authority.PEM()
	dir := t.TempDir()
	identity, err := pki.Store(dir, certificate, request.KeyPEM(), []byte(trusted))
	if err != nil {
		t.Fatal(err)
	}
	d := &database3{t: t, client: identity.Client(), identity: dir, servers: make([]*engine.Server, 3)}
	members := make(map[string]string)
	for i := range d.servers {
		members[fmt.Sprint("e", i)] = freePort(t)
	}
	dir = t.TempDir()
	var tasks sync.WaitGroup
	for i := range d.servers {
		client := freePort(t)
		tasks.Go(func() {
			name := fmt.Sprint("e", i)
			s, err := engine.Start(t.Context(), engine.Config{Name: name, Dir: filepath.Join(dir, name), Peer: members[name], Client: client,
				TLS: engine.Files{Pair: identity.PairFile(), Authority: identity.AuthorityFile()}, Members: members, Log: testLog(t)})
			if err != nil {
				t.Error(err)
				return
			}
			d.servers[i] = s
		})
	}
	tasks.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		var tasks sync.WaitGroup
		for _, s := range d.servers {
			tasks.Go(s.Close)
		}
		tasks.Wait()
	})
	return d
}

// gateway starts a gateway that reaches the database by proxies of its own.
func (d *database3) gateway(w *world, name string, observe func(Observation)) (*member, []*proxy) {
	cfg := w.config(name)
	cfg.Observe = observe
	var proxies []*proxy
	for _, s := range d.servers {
		u, err := url.Parse(s.Endpoint())
		if err != nil {
			d.t.Fatal(err)
		}
		p := newProxy(d.t, u.Host)
		proxies = append(proxies, p)
		cfg.External = append(cfg.External, "https://"+p.listener.Addr().String())
	}
	cfg.ExternalTLS = d.client
	return w.start(cfg), proxies
}

func (d *database3) leader() *engine.Server {
	for _, s := range d.servers {
		if s.Leads() {
			return s
		}
	}
	return nil
}

// pauses collects how long volumes were paused.
type pauses struct {
	mu  sync.Mutex
	all []Observation
}

func (p *pauses) observe(o Observation) {
	if o.What == "paused" {
		p.mu.Lock()
		p.all = append(p.all, o)
		p.mu.Unlock()
	}
}

func (p *pauses) take() (volumes map[causeway.VolumeID]bool, longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	volumes = make(map[causeway.VolumeID]bool)
	for _, o := range p.all {
		volumes[o.Volume] = true
		longest = max(longest, o.Took)
	}
	p.all = nil
	return volumes, longest
}

const manyVolumes = 24

// three starts three gateways that serve manyVolumes.
func three(t *testing.T) (*database3, []*member, [][]*proxy, *pauses) { return threeFor(t, 0) }

// enduring is a lease that does not end while a busy machine stops, for tests in which nobody is to lose one.
const enduring = 6 * time.Second

// threeFor is three with leases of some length; 0: the usual.
func threeFor(t *testing.T, lease time.Duration) (*database3, []*member, [][]*proxy, *pauses) {
	d, w, p := startDatabase(t), newWorld(t), new(pauses)
	w.lease = lease
	var members []*member
	var proxies [][]*proxy
	for _, name := range []string{"a", "b", "c"} {
		m, ps := d.gateway(w, name, p.observe)
		members, proxies = append(members, m), append(proxies, ps)
	}
	members[0].createVolumes(manyVolumes)
	eventually(t, "volumes are served", func() bool { return served(manyVolumes, members...) })
	for _, m := range members {
		if m.owns() == 0 {
			t.Fatalf("%s owns nothing", m.cfg.Node)
		}
	}
	return d, members, proxies, p
}

// TestDrain moves volumes by a plan: only they are paused.
func TestDrain(t *testing.T) {
	t.Parallel()
	_, m, _, p := three(t)
	p.take()
	mine := m[1].owns()
	item := m[0].Table().Get(record.Named(record.KindNode, "b"))
	node := *item.Value.(*record.Node)
	node.State = record.Draining
	if ok, err := m[0].Transact(t.Context(), record.Update(item, &node)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	took := eventually(t, "b gave its volumes away", func() bool { return m[1].owns() == 0 && served(manyVolumes, m...) })
	volumes, longest := p.take()
	t.Logf("%d volumes moved in %v, paused for %v at most", mine, took, longest)
	if len(volumes) != mine {
		t.Errorf("%d volumes moved, %d were paused", mine, len(volumes))
	}
}

// TestStop ends a gateway in order: others take its volumes at once.
func TestStop(t *testing.T) {
	t.Parallel()
	_, m, _, p := three(t)
	p.take()
	mine, start := m[1].owns(), time.Now()
	if err := m[1].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "others serve", func() bool { return served(manyVolumes, m[0], m[2]) })
	volumes, longest := p.take()
	t.Logf("%d volumes moved in %v, paused for %v at most", mine, time.Since(start), longest)
	if len(volumes) != mine {
		t.Errorf("%d volumes moved, %d were paused", mine, len(volumes))
	}
}

// TestCrash ends a gateway without a word, the master in one case: its lease has to end first.
func TestCrash(t *testing.T) {
	for i, name := range []string{"the master", "another"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, m, _, _ := three(t)
			if lock := m[0].Table().Get(record.Sole(record.KindLock)); lock.Value.(*record.Lock).Node != "a" {
				t.Fatalf("the master is %v", lock.Value)
			}
			start := time.Now()
			m[i].Close()
			rest := append(append([]*member(nil), m[:i]...), m[i+1:]...)
			eventually(t, "others serve", func() bool { return served(manyVolumes, rest...) })
			t.Logf("served by others after %v", time.Since(start))
		})
	}
}

// TestLeaderLost ends the database's leader alone: nobody loses a volume. With a gateway at the same time: its volumes move.
func TestLeaderLost(t *testing.T) {
	t.Parallel()
	d, m, _, p := threeFor(t, enduring)
	p.take()
	d.leader().Close()
	time.Sleep(enduring + time.Second) // longer than a lease
	if volumes, _ := p.take(); len(volumes) > 0 || !served(manyVolumes, m...) {
		t.Errorf("volumes %v were paused when the leader was lost", volumes)
	}
}

// TestLeaderAndGatewayLost ends both at the same time.
func TestLeaderAndGatewayLost(t *testing.T) {
	t.Parallel()
	d, m, _, _ := three(t)
	start := time.Now()
	var tasks sync.WaitGroup
	tasks.Go(d.leader().Close)
	m[1].Close()
	eventually(t, "others serve", func() bool { return served(manyVolumes, m[0], m[2]) })
	t.Logf("served by others after %v", time.Since(start))
	tasks.Wait()
}

// TestPartition cuts a gateway off the database: it stops before others take over, and comes back.
func TestPartition(t *testing.T) {
	t.Parallel()
	_, m, proxies, _ := three(t)
	start := time.Now()
	for _, p := range proxies[0] {
		p.cut.Store(true)
	}
	stopped := eventually(t, "the gateway stops by itself", func() bool { return !m[0].Valid() })
	eventually(t, "others serve", func() bool { return served(manyVolumes, m[1], m[2]) })
	t.Logf("stopped after %v, served by others after %v", stopped, time.Since(start))
	if m[0].Valid() {
		t.Error("the gateway that was cut off believes to be a member")
	}
	eventually(t, "it gave up its volumes", func() bool { return m[0].owns() == 0 })
	start = time.Now()
	for _, p := range proxies[0] {
		p.cut.Store(false)
	}
	eventually(t, "it is back", func() bool { return m[0].Valid() && m[0].owns() > 0 && served(manyVolumes, m...) })
	t.Logf("back after %v", time.Since(start))
}

// TestStuck has a gateway that does not pause a volume that moves: it is dropped, and what it owns moves when it has stopped.
func TestStuck(t *testing.T) {
	t.Parallel()
	_, m, _, _ := three(t)
	m[2].gateway.mu.Lock()
	m[2].stuck = true
	m[2].gateway.mu.Unlock()
	item := m[0].Table().Get(record.Named(record.KindNode, "b"))
	node := *item.Value.(*record.Node)
	node.State = record.Draining
	if ok, err := m[0].Transact(t.Context(), record.Update(item, &node)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	took := eventually(t, "the stuck gateway is dropped", func() bool { return !m[2].Valid() })
	t.Logf("dropped after %v", took)
	eventually(t, "a serves everything", func() bool { return m[0].owns() == manyVolumes })
	m[2].gateway.mu.Lock()
	m[2].stuck = false
	m[2].gateway.mu.Unlock()
	eventually(t, "it is back", func() bool { return m[2].Valid() && m[1].owns() == 0 && served(manyVolumes, m...) })
}

// TestRefusal has a gateway that cannot take over: others do.
func TestRefusal(t *testing.T) {
	t.Parallel()
	d, m, _, _ := three(t)
	w := m[0].world
	cfg := w.config("d")
	for _, s := range d.servers {
		cfg.External = append(cfg.External, s.Endpoint())
	}
	cfg.ExternalTLS = d.client
	g := w.gateway("d")
	g.fail = true
	cfg.Hooks = g
	c, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	refusals := func() int { return m[0].Table().Len(record.KindRefusal) }
	eventually(t, "d refuses what others then serve", func() bool { return refusals() > 0 && served(manyVolumes, m...) })
	t.Logf("%d volumes refused", refusals())
}

// TestNameInUse refuses a second gateway under the name of one that lives.
func TestNameInUse(t *testing.T) {
	t.Parallel()
	d, m, _, _ := threeFor(t, enduring)
	cfg := m[0].world.config("a")
	cfg.External, cfg.ExternalTLS, cfg.Hooks = []string{d.servers[0].Endpoint()}, d.client, m[0].gateway
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if c, err := Start(ctx, cfg); err == nil {
		c.Close()
		t.Error("two gateways have the same name")
	} else {
		t.Log(err)
	}
	if !m[0].Valid() || !served(manyVolumes, m...) {
		t.Error("the gateway that was there first suffered")
	}
}

// TestSlowDatabase delays everything between the gateways and the database: nobody loses a lease, and volumes still move.
func TestSlowDatabase(t *testing.T) {
	t.Parallel()
	_, m, proxies, p := threeFor(t, enduring)
	for _, of := range proxies {
		for _, one := range of {
			one.slow.Store(int64(100 * time.Millisecond))
		}
	}
	p.take()
	time.Sleep(enduring + time.Second) // longer than a lease
	if volumes, _ := p.take(); len(volumes) > 0 || !served(manyVolumes, m...) {
		t.Errorf("volumes %v were paused because the database is slow", volumes)
	}
	if err := m[1].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := eventually(t, "others serve", func() bool { return served(manyVolumes, m[0], m[2]) })
	t.Logf("served by others %v after a stop", took)
}
