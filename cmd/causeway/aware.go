package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"causeway"
	"causeway/cluster/record"
	"causeway/cmd/causeway/config"
	"causeway/gateway"
	"causeway/gateway/aware"
	"causeway/gateway/replies"
	"causeway/redirect"
)

const awareHelp = "port of aware clients (programs with the Go library causeway/client), the same at all gateways of a cluster; 0: none"

// awareFlags are those of aware clients, and of what moves them.
func awareFlags(set *pflag.FlagSet, c *config.Config) {
	set.Uint16Var(&c.Aware, "aware", 0, awareHelp)
	set.StringVar(&c.AwareTLS, "aware-tls", "", "CERT,KEY: files in PEM with which aware clients are answered in TLS; read again for each connection")
	set.Uint32Var(&c.LinkSpeed, "link-speed", 0, "Mbit/s that each network interface carries, where the kernel does not know it, as in many virtual machines")
	set.BoolVar(&c.SharedCPU, "shared-cpu", false, "leave the machine's processors out of how busy this gateway is: others use them too")
}

// startAware answers aware clients, if that is wanted.
func (n *node) startAware(ctx context.Context) (err error) {
	if n.config.Aware == 0 {
		return nil
	}
	answers := gateway.Access(n.faces.access)
	if n.member == nil { // in a cluster, the owner of each volume remembers
		if answers, err = replies.New(replies.Config{Access: answers}); err != nil {
			return err
		}
	}
	crowd := &crowd{node: n, reports: map[string]report{}, counted: map[[2]string]uint64{}, moved: map[string]time.Time{}}
	cfg := aware.Config{
		Access: answers, Transfer: n.faces.transfer, Catalog: n.volumes.catalog, Log: n.log, Node: n.self,
		Enter: func() interface{ Leave() } { return n.gate.Enter() },
	}
	if n.groups != nil {
		cfg.Groups = n.groups
	}
	if cfg.TLS, err = awareTLS(n.config.AwareTLS); err != nil {
		return err
	}
	if n.member != nil {
		cfg.Gateways, cfg.Load = crowd.gateways, crowd.load
		cfg.Epoch = func(v causeway.VolumeID) causeway.Epoch { return n.member.Routes().Now(v).Epoch }
	}
	if n.aware, err = aware.New(cfg); err != nil {
		return err
	}
	n.teardown.add("aware clients", n.aware.Shutdown)
	if n.member != nil {
		return n.balanceClients(crowd)
	}
	at := netip.AddrPortFrom(n.config.ListenAddr.Addr(), n.config.Aware)
	e, err := bind(ctx, "--aware", at)
	if err != nil {
		return err
	}
	e.packet.Close()
	n.run("aware clients", func() error { return n.aware.Serve(e.stream) })
	return nil
}

// awareTLS reads a certificate and its key. They are read again for each connection, so that a renewed one counts at once.
func awareTLS(files string) (*tls.Config, error) {
	if files == "" {
		return nil, nil
	}
	cert, key, ok := strings.Cut(files, ",")
	if !ok {
		return nil, fmt.Errorf("--aware-tls %q: two files are needed, CERT,KEY", files)
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("--aware-tls: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		return &pair, err
	}}, nil
}

// balanceClients sends clients elsewhere while this gateway is over its threshold.
func (n *node) balanceClients(c *crowd) (err error) {
	if c.planner, err = redirect.NewPlanner(n.self, redirect.Config{Spread: 2}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.serving.Go(func() { c.watch(ctx) })
	n.teardown.addClose("redirects", func() error { cancel(); return nil })
	return nil
}

// report is how busy a gateway said that it is, and when that was first seen.
type report struct {
	revision int64
	at       time.Time
}

// crowd is what this gateway knows of the others, and of its own aware clients.
type crowd struct {
	*node
	planner *redirect.Planner

	mu      sync.Mutex
	reports map[string]report

	counted map[[2]string]uint64 // calls of each client and volume, when they were looked at last
	moved   map[string]time.Time // when each client was sent away
}

// table is the cluster's records; nil before there are any.
func (c *crowd) table() *record.Table {
	if joined := c.member.Cluster(); joined != nil {
		return joined.Table()
	}
	return nil
}

// age is how long a report has been known.
func (c *crowd) age(node string, revision int64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.reports[node]
	if r.revision != revision {
		r = report{revision, time.Now()}
		c.reports[node] = r
	}
	return time.Since(r.at)
}

// nodes are the gateways that run.
func (c *crowd) nodes() (out []redirect.Node, addresses map[string][]netip.AddrPort) {
	t := c.table()
	addresses = map[string][]netip.AddrPort{}
	if t == nil {
		return nil, addresses
	}
	for item := range t.All(record.KindNode) {
		n := item.Value.(*record.Node)
		if m, _ := t.Member(n.Name); m == nil {
			continue
		}
		for _, a := range n.Addresses {
			addresses[n.Name] = append(addresses[n.Name], netip.AddrPortFrom(a, c.config.Aware))
		}
		r := redirect.Node{
			Name: n.Name, Threshold: float64(n.Threshold), Capacity: float64(n.Weight), Domains: n.Domains, Draining: n.State == record.Draining,
			Interval: max(time.Duration(n.UpdateInterval), time.Second),
		}
		key := record.Named(record.KindLoad, n.Name)
		if load := t.Get(key); load != nil {
			r.Utilization, r.Age = float64(load.Value.(*record.Load).Utilization), c.age(n.Name, t.Mod(key))
			r.Clients = int(load.Value.(*record.Load).Clients)
		}
		out = append(out, r)
	}
	return out, addresses
}

// gateways is what clients are told.
func (c *crowd) gateways() (out []aware.Gateway) {
	nodes, addresses := c.nodes()
	t := c.table()
	for _, n := range nodes {
		g := aware.Gateway{Node: n.Name, Addresses: addresses[n.Name], Utilization: uint8(n.Utilization), Age: n.Age, Draining: n.Draining}
		for item := range t.All(record.KindVolume) {
			if v := item.Value.(*record.Volume); v.DomainPolicy == record.Strict && !record.SharesDomain(t.Node(n.Name), v) {
				g.Refuses = append(g.Refuses, v.Name)
			}
		}
		out = append(out, g)
	}
	return out
}

// load is this gateway's own.
func (c *crowd) load() (utilization uint8, draining bool) {
	nodes, _ := c.nodes()
	for _, n := range nodes {
		if n.Name == c.self {
			return uint8(n.Utilization), n.Draining
		}
	}
	return 0, false
}

// watch looks every second whether clients shall go, until the context ends.
func (c *crowd) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.send()
		case <-ctx.Done():
			return
		}
	}
}

// send tells clients to go.
func (c *crowd) send() {
	nodes, addresses := c.nodes()
	uses := c.uses(nodes)
	working := map[string]bool{}
	for _, u := range uses {
		if u.Load > 0 || u.Since.After(time.Now().Add(-time.Second)) {
			working[u.Client] = true
		}
	}
	c.working.Store(int64(len(working)))
	for i := range nodes {
		if nodes[i].Name == c.self {
			nodes[i].Clients = len(working)
		}
	}
	t := c.table()
	if t == nil || len(uses) == 0 {
		return
	}
	volumes := map[string]redirect.Volume{}
	for item := range t.All(record.KindVolume) {
		v := item.Value.(*record.Volume)
		volumes[v.Name] = redirect.Volume{Name: v.Name, Domain: v.Domain}
	}
	for _, m := range c.planner.Plan(redirect.State{Now: time.Now(), Nodes: nodes, Volumes: volumes, Uses: uses}) {
		to := ""
		if list := addresses[m.To]; len(list) > 0 {
			to = list[0].String()
		}
		told := c.aware.Redirect(m.Client, m.Volume, to, m.Mirror)
		c.moved[m.Client] = time.Now()
		c.log.Info("a client is sent elsewhere", "client", m.Client, "volume", m.Volume, "node", m.To, "told", told)
	}
}

// uses are what the clients that can be told do, each with its share of this gateway's load: by calls, of all that aware clients made since
// the last look.
func (c *crowd) uses(nodes []redirect.Node) (out []redirect.Use) {
	own, total := 0.0, uint64(0)
	for _, n := range nodes {
		if n.Name == c.self {
			own = n.Utilization
		}
	}
	counted, made := map[[2]string]uint64{}, map[[2]string]uint64{}
	list := c.aware.Clients()
	for _, u := range list {
		key := [2]string{u.Client, u.Volume}
		counted[key] = u.Calls
		if made[key] = u.Calls; u.Calls >= c.counted[key] {
			made[key] = u.Calls - c.counted[key]
		}
		total += made[key]
	}
	c.counted = counted
	for _, u := range list {
		if u.Watches {
			share := float64(made[[2]string{u.Client, u.Volume}]) / float64(max(total, 1))
			out = append(out, redirect.Use{Client: u.Client, Volume: u.Volume, Load: own * share, Since: u.Since, Moved: c.moved[u.Client], Means: redirect.Aware})
		}
	}
	for client, at := range c.moved {
		if time.Since(at) > time.Hour {
			delete(c.moved, client)
		}
	}
	return out
}
