package address

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
)

// Conn is a TCP connection of a client to a service address. Both addresses are of one family, never IPv4 within IPv6, without
// zones.
type Conn struct {
	Local, Client netip.AddrPort
}

// ErrTooMany means that there are more connections than a Table holds.
var ErrTooMany = errors.New("too many connections")

// valid reports whether c is what its comment says.
func (c Conn) valid() bool {
	local, client := c.Local.Addr(), c.Client.Addr()
	return local.IsValid() && local.Is4() == client.Is4() && client.IsValid() && !local.Is4In6() && !client.Is4In6() &&
		local.Zone() == "" && client.Zone() == ""
}

// compare orders by service address, then by client.
func (c Conn) compare(d Conn) int {
	return cmp.Or(c.Local.Compare(d.Local), c.Client.Compare(d.Client))
}

// normal returns the valid ones of conns, unmapped, in order and each once.
func normal(conns []Conn) []Conn {
	sorted := make([]Conn, 0, len(conns))
	for _, c := range conns {
		c.Local = netip.AddrPortFrom(c.Local.Addr().Unmap(), c.Local.Port())
		c.Client = netip.AddrPortFrom(c.Client.Addr().Unmap(), c.Client.Port())
		if c.valid() {
			sorted = append(sorted, c)
		}
	}
	slices.SortFunc(sorted, Conn.compare)
	return slices.Compact(sorted)
}
