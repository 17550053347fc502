package member

import (
	"net/netip"
	"slices"

	"causeway/cluster/address"
	"causeway/cluster/record"
	"causeway/discovery"
)

// Address is a service address.
type Address struct {
	Address netip.Addr `json:"address"`
	Home    string     `json:"home"`            // the node to which it belongs
	At      string     `json:"at"`              // the node that answers for it; "" if none may
	Moved   bool       `json:"moved,omitempty"` // an operator gave it to that node
}

// settled reports whether the address is where it shall be for good, and not only until its gateway is back.
func (a Address) settled() bool { return a.At != "" && (a.Moved || a.At == a.Home) }

// assigned says who shall answer for each service address.
func assigned(t *record.Table) map[netip.Addr]Address {
	all := make(map[netip.Addr]Address)
	sites, strict := DiscoverySites(t), strictVolumes(t)
	for item := range t.All(record.KindNode) {
		home := item.Value.(*record.Node)
		if len(home.Addresses) == 0 {
			continue
		}
		takers := takers(t, home, strict)
		for _, a := range home.Addresses {
			if to := home.Moved[a]; slices.Contains(takers, to) {
				all[a] = Address{a, home.Name, to, true}
				continue
			}
			all[a] = Address{a, home.Name, address.Assign(a, home.Name, near(t, sites, home, a, takers)), false}
		}
	}
	return all
}

// strictVolumes are those that gateways outside of their domains refuse.
func strictVolumes(t *record.Table) (strict []*record.Volume) {
	for v := range t.All(record.KindVolume) {
		if v := v.Value.(*record.Volume); v.DomainPolicy == record.Strict {
			strict = append(strict, v)
		}
	}
	return strict
}

// near returns those of the takers that are where the address is used: at a site of its node, or at one in whose networks it lies; all, if none is.
func near(t *record.Table, sites []discovery.Site, home *record.Node, a netip.Addr, takers []string) []string {
	if slices.Contains(takers, home.Name) {
		return takers // it is its own
	}
	var here []string
	for _, name := range takers {
		n := t.Node(name)
		if slices.ContainsFunc(sites, func(s discovery.Site) bool {
			return (isAt(&s, home) || isAt(&s, &record.Node{Addresses: []netip.Addr{a}})) && isAt(&s, n)
		}) {
			here = append(here, name)
		}
	}
	if len(here) == 0 {
		return takers
	}
	return here
}

// isAt reports whether a node is at a site.
func isAt(s *discovery.Site, n *record.Node) bool {
	g := discovery.Gateway{Addresses: n.Addresses, Domains: n.Domains}
	return g.At(s)
}

// takers returns the nodes that may answer at home's addresses: those that run and serve everything that home does. A node outside
// of a strict domain would refuse what clients use there.
func takers(t *record.Table, home *record.Node, strict []*record.Volume) []string {
	var needed []*record.Volume
	for _, v := range strict {
		if record.SharesDomain(home, v) {
			needed = append(needed, v)
		}
	}
	var names []string
	for item := range t.All(record.KindMember) {
		n := t.Node(item.Key.Name)
		fit := n != nil
		for _, v := range needed {
			fit = fit && record.SharesDomain(n, v)
		}
		if fit {
			names = append(names, n.Name)
		}
	}
	return names
}
