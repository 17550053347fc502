package main

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/cluster/record"
	"causeway/cmd/causeway/member"
	"causeway/discovery"
	"causeway/redirect"
	"causeway/redirect/demand"
)

// idleClient is how long a normal client that is not connected is listed after its last call.
const idleClient = time.Minute

// table is the cluster's records; nil if there are none.
func (c *crowd) table() *record.Table {
	if c.member == nil || c.member.Cluster() == nil {
		return nil
	}
	return c.member.Cluster().Table()
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
func (c *crowd) nodes() (out []redirect.Node) {
	t := c.table()
	if t == nil {
		return nil
	}
	sites, addresses := member.DiscoverySites(t), member.Answering(t)
	for item := range t.All(record.KindNode) {
		n := item.Value.(*record.Node)
		m, _ := t.Member(n.Name)
		if m == nil {
			continue
		}
		r := redirect.Node{
			Name: n.Name, Threshold: float64(n.Threshold), Capacity: float64(n.Weight), Domains: member.DomainsOf(t, n), Draining: n.State == record.Draining,
			Interval: max(time.Duration(n.UpdateInterval), time.Second), Closed: !member.Welcomes(m, addresses[n.Name]), Held: len(addresses[n.Name]),
		}
		at := discovery.Gateway{Addresses: addresses[n.Name], Domains: n.Domains}
		for i := range sites {
			if at.At(&sites[i]) {
				r.Sites = append(r.Sites, sites[i].Name)
			}
		}
		key := record.Named(record.KindLoad, n.Name)
		if load := t.Get(key); load != nil {
			r.Utilization, r.Age = float64(load.Value.(*record.Load).Utilization), c.age(n.Name, t.Mod(key))
			r.Clients = int(load.Value.(*record.Load).Clients)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b redirect.Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func selfOf(nodes []redirect.Node, self string) redirect.Node {
	for _, n := range nodes {
		if n.Name == self {
			return n
		}
	}
	return redirect.Node{Name: self, Interval: 10 * time.Second}
}

func (c *crowd) siteOf(t *record.Table, client netip.Addr) string {
	if t == nil {
		return ""
	}
	return discovery.SiteOf(member.DiscoverySites(t), client)
}

func nameOf(c *member.Client) demand.Name {
	return demand.Name{Client: c.Client, Volume: c.Volume, Protocol: c.Protocol}
}

// hostOf is the address in the name of a client.
func hostOf(client string) (netip.Addr, bool) {
	host, _, _ := strings.Cut(client, "/")
	a, err := netip.ParseAddr(host)
	return a.Unmap(), err == nil
}

// Clients implements member.Crowd.
func (c *crowd) Clients() []member.Client {
	if !c.up.Load() {
		return []member.Client{}
	}
	list := c.list()
	self := selfOf(c.nodes(), c.self)
	c.mu.Lock()
	defer c.mu.Unlock()
	shares := c.shares.All()
	for i := range list {
		u := &list[i]
		u.Load = self.Utilization * shares[nameOf(u)]
		if at, ok := c.moved[u.Client]; ok {
			u.Moved = &at
		}
	}
	return list
}

// list is what clients do here, each protocol's as what it is.
func (c *crowd) list() []member.Client {
	list := []member.Client{}
	t := c.table()
	if c.aware != nil {
		for _, u := range c.aware.Clients() {
			list = append(list, member.Client{Client: u.Client, Kind: member.AwareClient, Protocol: "causeway", Volume: u.Volume,
				Calls: u.Calls, Bytes: u.Bytes, Since: u.Since})
		}
	}
	list = append(list, c.normal()...)
	for i := range list {
		u := &list[i]
		u.Gateway = c.self
		if a, ok := hostOf(u.Client); ok {
			u.Site = c.siteOf(t, a)
		}
	}
	return list
}

// connected are the hosts that have connections by a protocol.
type connected map[netip.Addr]connection

// connection is what is known of a host's connections: when the first began, and the addresses of ours to which they go.
type connection struct {
	since time.Time
	at    []netip.Addr
}

func (c *crowd) connected(protocol string) connected {
	all := connected{}
	if protocol == "smb" {
		if c.smb.server != nil {
			for a := range c.smb.server.Clients() {
				all[a] = connection{}
			}
		}
		return all
	}
	if c.rpc == nil {
		return all
	}
	for _, conn := range c.rpc.Conns() {
		host := conn.Remote.Addr().Unmap()
		one, local := all[host], conn.Local.Addr().Unmap()
		if one.since.IsZero() || conn.Since.Before(one.since) {
			one.since = conn.Since
		}
		if !slices.Contains(one.at, local) {
			one.at = append(one.at, local)
		}
		all[host] = one
	}
	return all
}

// normal are the clients of NFS and SMB: those that are connected, and those that called a short time ago.
func (c *crowd) normal() (list []member.Client) {
	names := map[causeway.VolumeID]string{}
	for _, v := range c.volumes.catalog.Volumes() {
		names[v.ID] = v.Name
	}
	here := map[string]connected{"nfs": c.connected("nfs"), "smb": c.connected("smb")}
	used := map[string]map[netip.Addr]bool{"nfs": {}, "smb": {}}
	for _, u := range c.book.Uses() {
		conns, is := here[u.Protocol][u.Client]
		name, known := names[u.Volume]
		if !known || !is && time.Since(u.Last) > idleClient {
			continue
		}
		used[u.Protocol][u.Client] = true
		list = append(list, member.Client{Client: u.Client.String(), Kind: member.NormalClient, Protocol: u.Protocol, Volume: name,
			Calls: u.Calls, Bytes: u.Bytes, Since: u.Since, At: conns.at})
	}
	for protocol, hosts := range here {
		for host, conns := range hosts {
			if !used[protocol][host] {
				list = append(list, member.Client{Client: host.String(), Kind: member.NormalClient, Protocol: protocol, Since: conns.since, At: conns.at})
			}
		}
	}
	return list
}

// Demand implements member.Crowd.
func (c *crowd) Demand() (parts map[string]float64, rate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	parts = map[string]float64{}
	for name, share := range c.shares.All() {
		parts[name.Volume] += share
	}
	return parts, c.shares.Rate()
}
