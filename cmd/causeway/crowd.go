package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"causeway/cluster/record"
	"causeway/cmd/causeway/member"
	"causeway/discovery"
	"causeway/gateway/aware"
	"causeway/redirect"
	"causeway/redirect/demand"
)

// crowd is who uses this gateway, and what it knows of the others: so it decides who shall go.
type crowd struct {
	*node
	book *demand.Book // of protocols that do not count by themselves

	mu      sync.Mutex
	planner *redirect.Planner
	version int64 // of the settings that the planner has
	shares  demand.Shares
	reports map[string]report
	moved   map[string]time.Time   // when each client was sent away
	calls   map[demand.Name]uint64 // that were counted at the last look; look's alone
	places  places                 // likewise
	shifts  chan struct{}          // has an element while an address is given away
}

var _ member.Crowd = (*crowd)(nil)

// report is how busy a gateway said that it is, and when that was first seen.
type report struct {
	revision int64
	at       time.Time
}

// keepMoved is how long it is remembered that a client was moved.
const keepMoved = time.Hour

func newCrowd(n *node) (*crowd, error) {
	c := &crowd{node: n, reports: map[string]report{}, moved: map[string]time.Time{}, shifts: make(chan struct{}, 1)}
	var err error
	if c.book, err = demand.New(demand.Config{}, time.Now()); err != nil {
		return nil, err
	}
	c.planner, err = redirect.NewPlanner(n.self, redirectConfig(record.DefaultSettings()))
	return c, err
}

// start looks every second whether clients shall go.
func (c *crowd) start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.serving.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.look(ctx, time.Now())
			case <-ctx.Done():
				return
			}
		}
	})
	c.teardown.addClose("redirects", func() error { cancel(); return nil })
}

// look takes in what clients did, and tells some to go while this gateway is over its threshold.
func (c *crowd) look(ctx context.Context, now time.Time) {
	c.book.Tick(now)
	list := c.list()
	nodes := c.nodes()
	self := selfOf(nodes, c.self)
	counts := make(map[demand.Name]demand.Count, len(list))
	for i := range list {
		counts[nameOf(&list[i])] = demand.Count{Calls: list[i].Calls, Bytes: list[i].Bytes}
	}
	c.mu.Lock()
	c.shares.Look(counts, now, self.Interval)
	c.mu.Unlock()
	working := c.count(list, now)
	for i := range nodes {
		if nodes[i].Name == c.self {
			nodes[i].Clients = working
		}
	}
	t := c.table()
	if t == nil {
		return
	}
	c.configure(t)
	if c.aware != nil {
		c.mu.Lock()
		moves := c.planner.Plan(c.state(t, nodes, list, now))
		c.mu.Unlock()
		for i := range moves {
			told := c.send(t, &moves[i], now)
			c.log.Info("a client is sent elsewhere", "client", moves[i].Client, "volume", moves[i].Volume, "node", moves[i].To, "mirror", moves[i].Mirror, "told", told)
		}
	}
	c.shift(ctx, t, nodes, list, now)
}

// count returns how many aware clients work here.
func (c *crowd) count(list []member.Client, now time.Time) (n int) {
	watches := map[string]bool{}
	if c.aware != nil {
		for _, u := range c.aware.Clients() {
			watches[u.Client] = u.Watches
		}
	}
	c.mu.Lock()
	n, c.calls = working(list, watches, c.calls, c.moved, now)
	c.mu.Unlock()
	c.working.Store(int64(n))
	return n
}

// leaves is how long a client that was told to go may still make calls, which it had begun before: it does not count, or others would go in its place.
const leaves = 3 * time.Second

// working counts the aware clients that can be told to go, and work: those that called since the last look, when they had made as many calls as
// before says, or came a second ago.
func working(list []member.Client, watches map[string]bool, before map[demand.Name]uint64, moved map[string]time.Time, now time.Time) (int, map[demand.Name]uint64) {
	calls, clients := make(map[demand.Name]uint64, len(list)), map[string]bool{}
	for i := range list {
		u := &list[i]
		calls[nameOf(u)] = u.Calls
		went, told := moved[u.Client]
		switch {
		case u.Kind != member.AwareClient || !watches[u.Client] || told && now.Sub(went) < leaves:
		case u.Calls != before[nameOf(u)] || now.Sub(u.Since) < time.Second:
			clients[u.Client] = true
		}
	}
	return len(clients), calls
}

// configure gives the planner what an operator has set.
func (c *crowd) configure(t *record.Table) {
	version := t.Mod(record.Sole(record.KindSettings))
	c.mu.Lock()
	defer c.mu.Unlock()
	if version == c.version {
		return
	}
	c.version = version
	if err := c.planner.Configure(redirectConfig(t.Settings())); err != nil { // it was checked when it was set
		c.log.Error("the settings of redirects do not hold", "err", err)
	}
}

// send tells a client to go.
func (c *crowd) send(t *record.Table, m *redirect.Move, now time.Time) (told bool) {
	to := ""
	if targets := c.targets(t, m); len(targets) > 0 {
		to = targets[0].String()
	} else if m.To != "" {
		return false // it has no address that stays: the client would not find it
	}
	if told = c.aware.Redirect(m.Client, m.Volume, to, m.Mirror); told {
		c.mu.Lock()
		c.moved[m.Client] = now
		c.mu.Unlock()
	}
	return told
}

// targets are where a client is sent: at its own site first.
func (c *crowd) targets(t *record.Table, m *redirect.Move) (out []netip.AddrPort) {
	client, _ := hostOf(m.Client)
	for _, a := range discovery.Nearest(member.DiscoverySites(t), client, member.Answering(t)[m.To]) {
		out = append(out, netip.AddrPortFrom(a, c.config.Aware))
	}
	return out
}

// state is what the planner sees.
func (c *crowd) state(t *record.Table, nodes []redirect.Node, list []member.Client, now time.Time) redirect.State {
	s := redirect.State{Now: now, Nodes: nodes, Volumes: map[string]redirect.Volume{}}
	for item := range t.All(record.KindVolume) {
		v := item.Value.(*record.Volume)
		one := s.Volumes[v.Name]
		one.Name, one.Domain = v.Name, member.DomainOf(t, v)
		s.Volumes[v.Name] = one
	}
	for _, m := range mirrorsOf(t) {
		first := s.Volumes[m.Volume]
		first.Mirrors = append(first.Mirrors, m.Mirror)
		s.Volumes[m.Volume] = first
	}
	watches, writes := map[string]bool{}, map[[2]string]bool{}
	if c.aware != nil {
		for _, u := range c.aware.Clients() {
			watches[u.Client], writes[[2]string{u.Client, u.Volume}] = u.Watches, u.Writes
		}
	}
	self, shares := selfOf(nodes, c.self), c.shares.All()
	for at, moved := range c.moved {
		if now.Sub(moved) > keepMoved {
			delete(c.moved, at)
		}
	}
	for i := range list {
		u := &list[i]
		if u.Kind != member.AwareClient || !watches[u.Client] {
			continue // DNS sends those elsewhere, when they mount
		}
		s.Uses = append(s.Uses, redirect.Use{Client: u.Client, Volume: u.Volume, Load: self.Utilization * shares[nameOf(u)], Since: u.Since,
			Moved: c.moved[u.Client], Means: redirect.Aware, Site: u.Site, Writes: writes[[2]string{u.Client, u.Volume}]})
	}
	return s
}

// Redirect implements member.Crowd.
func (c *crowd) Redirect(client, volume, to string) (string, error) {
	t, now := c.table(), time.Now()
	if t == nil || c.aware == nil {
		return "", fmt.Errorf("gateway %s has no aware clients", c.self)
	}
	if redirect.Ways(c.waysOff())&redirect.WayPath != 0 {
		return "", errors.New("clients obey no names of gateways now: causeway cluster set --redirect-ways has the way path off")
	}
	m := &redirect.Move{Client: client, Volume: volume, From: c.self, To: to, Means: redirect.Aware}
	if to == "" {
		nodes := c.nodes()
		addr, _ := hostOf(client)
		c.mu.Lock()
		m = c.planner.Target(c.state(t, nodes, nil, now), redirect.Use{Client: client, Volume: volume, Means: redirect.Aware, Site: c.siteOf(t, addr)})
		c.mu.Unlock()
		if m == nil {
			return "", fmt.Errorf("there is no other gateway to which it may go")
		}
	} else if err := member.Receives(t, to, volume); err != nil {
		return "", err
	}
	if !c.send(t, m, now) {
		return "", fmt.Errorf("it does not listen to gateway %s any more, or %s has no address for it", c.self, cmp.Or(m.To, "the other one"))
	}
	c.log.Info("a client is sent elsewhere by an operator", "client", client, "volume", volume, "node", m.To)
	return m.To, nil
}

// gateways is what clients are told.
func (c *crowd) gateways() (out []aware.Gateway) {
	t := c.table()
	if t == nil {
		return nil
	}
	addresses := member.Answering(t)
	for _, n := range c.nodes() {
		g := aware.Gateway{Node: n.Name, Utilization: uint8(n.Utilization), Age: n.Age, Draining: n.Draining}
		for _, a := range addresses[n.Name] {
			g.Addresses = append(g.Addresses, netip.AddrPortFrom(a, c.config.Aware))
		}
		for item := range t.All(record.KindVolume) {
			if v := item.Value.(*record.Volume); v.DomainPolicy == record.Strict && !record.SharesDomain(t.Node(n.Name), v) {
				g.Refuses = append(g.Refuses, v.Name)
			}
		}
		out = append(out, g)
	}
	return out
}

// mirrors is what clients are told may be read in place of something else.
func (c *crowd) mirrors() []aware.Mirror {
	t := c.table()
	if t == nil {
		return nil
	}
	return mirrorsOf(t)
}

// mirrorsOf lists the volumes that offer the same as others, sorted.
func mirrorsOf(t *record.Table) (out []aware.Mirror) {
	for item := range t.All(record.KindVolume) {
		v := item.Value.(*record.Volume)
		if original := t.Volume(v.MirrorOf); v.MirrorOf != 0 && original != nil && v.ReadOnly {
			out = append(out, aware.Mirror{Volume: original.Name, Mirror: v.Name})
		}
	}
	slices.SortFunc(out, func(a, b aware.Mirror) int {
		return cmp.Or(strings.Compare(a.Volume, b.Volume), strings.Compare(a.Mirror, b.Mirror))
	})
	return out
}

// sees reports whether a volume is exported to a client, here or elsewhere.
func (c *crowd) sees(client netip.Addr, volume string) bool {
	t := c.table()
	if t == nil {
		return false
	}
	v := t.VolumeByName(volume)
	return v != nil && slices.ContainsFunc(v.Exports, func(e record.Export) bool { return e.Prefix.Contains(client) })
}

// load is this gateway's own.
func (c *crowd) load() (utilization uint8, draining bool) {
	n := selfOf(c.nodes(), c.self)
	return uint8(n.Utilization), n.Draining
}

// waysOff are the ways that the operator has switched off. Some are the clients' own: they are told.
func (c *crowd) waysOff() uint8 {
	t := c.table()
	if t == nil {
		return 0
	}
	return uint8(redirect.AllWays &^ redirectConfig(t.Settings()).Ways)
}
