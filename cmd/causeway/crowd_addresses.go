package main

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"causeway/cluster/record"
	"causeway/cmd/causeway/member"
	"causeway/discovery"
	"causeway/redirect"
	"causeway/redirect/demand"
)

// places is where service addresses are, and when they came there, as far as this gateway saw: all count as having come when it began to look.
type places struct {
	at      map[netip.Addr]string
	since   map[netip.Addr]time.Time
	shifted time.Time // when the last of them came
}

// look takes in who answers where.
func (p *places) look(answering map[string][]netip.Addr, now time.Time) {
	before, since := p.at, p.since
	p.at, p.since = map[netip.Addr]string{}, map[netip.Addr]time.Time{}
	for node, addresses := range answering {
		for _, a := range addresses {
			p.at[a], p.since[a] = node, since[a]
			if before[a] != node {
				p.since[a], p.shifted = now, now
			}
		}
	}
}

// shift gives a service address to another gateway, if the operator wants that and this gateway stays over its threshold.
func (c *crowd) shift(ctx context.Context, t *record.Table, nodes []redirect.Node, list []member.Client, now time.Time) {
	c.places.look(member.Answering(t), now)
	if !redirectConfig(t.Settings()).Addresses || len(c.shifts) > 0 {
		return
	}
	c.mu.Lock()
	s := c.state(t, nodes, list, now)
	s.Shifted, s.Addresses = c.places.shifted, c.movable(t, selfOf(nodes, c.self), c.shares.All(), list)
	m := c.planner.PlanAddress(s)
	c.mu.Unlock()
	a, err := netip.ParseAddr(addressOf(m))
	if err != nil {
		return
	}
	c.log.Info("a service address is given to another gateway, since this one is too busy", "addr", a, "node", m.To, "load", m.Load)
	c.shifts <- struct{}{}
	c.serving.Go(func() {
		defer func() { <-c.shifts }()
		if err := c.member.MoveAddress(ctx, a, m.To); err != nil && ctx.Err() == nil {
			c.log.Warn("a service address was not given to another gateway", "addr", a, "node", m.To, "err", err)
		}
	})
}

func addressOf(m *redirect.AddressMove) string {
	if m == nil {
		return ""
	}
	return m.Address
}

// movable are the addresses that this gateway answers at, with what their NFS clients cause. There are none while SMB clients are connected: what they have
// open may not survive that their connections end.
func (c *crowd) movable(t *record.Table, self redirect.Node, shares map[demand.Name]float64, list []member.Client) (out []redirect.Address) {
	loads := map[netip.Addr]float64{}
	for i := range list {
		u := &list[i]
		if u.Protocol == "smb" {
			return nil
		}
		if u.Kind != member.NormalClient {
			continue
		}
		for _, a := range u.At {
			loads[a] += self.Utilization * shares[nameOf(u)] / float64(len(u.At))
		}
	}
	for a, node := range c.places.at {
		if node == c.self {
			out = append(out, redirect.Address{Address: a.String(), Load: loads[a], Moved: c.places.since[a], Site: discovery.SiteOf(member.DiscoverySites(t), a), Takers: member.TakersOf(t, a)})
		}
	}
	slices.SortFunc(out, func(a, b redirect.Address) int {
		return netip.MustParseAddr(a.Address).Compare(netip.MustParseAddr(b.Address))
	})
	return out
}
