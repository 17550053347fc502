package discovery

import (
	"net/netip"
	"slices"
)

// Order returns addresses of the gateways that a client shall use a volume at, one of each: first the one that it is given by name, then the
// others that are as good, then those that have to pass requests on or are elsewhere. A gateway that is too busy or drains is left out, unless
// no other one is left: clients that keep a list of servers leave one for good only when it is not in the next list. nil: there is no such
// volume, or nobody serves it.
func (z *Zone) Order(name string, client netip.Addr) []netip.Addr {
	i := slices.IndexFunc(z.volumes, func(v *volume) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	client = client.Unmap()
	g := z.group(z.volumes[i], client)
	all := slices.Clone(g.all)
	if client.IsValid() && g.best > 0 {
		first := slices.IndexFunc(all, func(c candidate) bool { return c.gateway == nearest(g.all[:g.best], client).gateway })
		chosen := all[first]
		all = slices.Insert(slices.Delete(all, first, first+1), 0, chosen)
	}
	const unwanted = behindHot | behindDrains
	if len(all) > 0 && all[0].behind&unwanted == 0 {
		all = slices.DeleteFunc(all, func(c candidate) bool { return c.behind&unwanted != 0 })
	}
	var out []netip.Addr
	for _, c := range all {
		at := slices.IndexFunc(c.Addresses, func(a netip.Addr) bool { return a.Unmap().Is4() == client.Is4() })
		out = append(out, c.Addresses[max(at, 0)])
	}
	return out
}
