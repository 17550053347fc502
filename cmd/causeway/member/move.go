package member

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"causeway/cluster/address"
	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// MoveOrder gives a service address, with the clients that use it, to another node.
type MoveOrder struct {
	Address netip.Addr `json:"address"`
	To      string     `json:"to"` // the node to which it belongs: as it was before any move
}

// AddressMove is how that went.
type AddressMove struct {
	Address netip.Addr `json:"address"`
	From    string     `json:"from"` // who answered before; "": nobody
	To      string     `json:"to"`
	Took    float64    `json:"took"` // seconds until the other node answered
}

// moveWithin bounds how long a move is waited for: releasing, taking and telling take a fraction of a second.
const moveWithin = 10 * time.Second

// moveAddress has the holder release an address, and the other node take it, wake the clients, and answer them from what gateways share. It
// returns when the other node answers.
func (m *Member) moveAddress(ctx context.Context, o MoveOrder) (any, error) {
	o.Address = o.Address.Unmap()
	home, from, err := m.movable(o)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	err = m.change(ctx, record.Named(record.KindNode, home), func(r record.Record) (record.Record, error) {
		n := *r.(*record.Node)
		if n.Moved = maps.Clone(n.Moved); n.Moved == nil {
			n.Moved = map[netip.Addr]string{}
		}
		if delete(n.Moved, o.Address); o.To != home {
			n.Moved[o.Address] = o.To
		}
		return &n, nil
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, moveWithin)
	defer cancel()
	for !m.answersAt(o.To, o.Address) {
		if !sleep.For(ctx, 5*time.Millisecond) {
			return nil, fmt.Errorf("%v shall be at %s now, but is not there yet: that node's log says why", o.Address, o.To)
		}
	}
	return AddressMove{o.Address, from, o.To, time.Since(begun).Seconds()}, nil
}

// MoveAddress is `causeway address move`, ordered by this gateway itself.
func (m *Member) MoveAddress(ctx context.Context, a netip.Addr, to string) error {
	_, err := m.moveAddress(ctx, MoveOrder{a, to})
	return err
}

// TakersOf returns the nodes that may answer at a service address.
func TakersOf(t *record.Table, a netip.Addr) []string {
	now, known := assigned(t)[a]
	if !known {
		return nil
	}
	return takers(t, t.Node(now.Home), strictVolumes(t))
}

// movable returns the node to which an address belongs and the one that answers for it, if the order can be carried out.
func (m *Member) movable(o MoveOrder) (home, from string, err error) {
	t := m.Cluster().Table()
	now, known := assigned(t)[o.Address]
	if !known {
		return "", "", fmt.Errorf("%v is no service address: causeway status lists them", o.Address)
	}
	to := t.Node(o.To)
	member, _ := t.Member(o.To)
	switch {
	case to == nil:
		return "", "", fmt.Errorf("there is no node %.80q", o.To)
	case member == nil:
		return "", "", fmt.Errorf("node %s does not run", o.To)
	case to.State == record.Draining && o.To != now.Home:
		return "", "", fmt.Errorf("node %s drains: causeway node set %s --active ends that", o.To, o.To)
	case !slices.Contains(takers(t, t.Node(now.Home), strictVolumes(t)), o.To):
		return "", "", fmt.Errorf("node %s refuses volumes that clients use at %v: they are for the domains of %s only", o.To, o.Address, now.Home)
	}
	return now.Home, now.At, nil
}

// answersAt reports whether a node says that it answers for an address.
func (m *Member) answersAt(node string, a netip.Addr) bool {
	if m.keeper == nil {
		return false
	}
	if node != m.cfg.Cluster.Node {
		return m.keeper.mirror.Holder(a) == node
	}
	state, held := m.keeper.manager.Held()[a]
	return held && state != address.Free
}

// Answering says at which service addresses each node that runs answers clients for good.
func Answering(t *record.Table) map[string][]netip.Addr {
	at := map[string][]netip.Addr{}
	for a, who := range assigned(t) {
		if who.settled() {
			at[who.At] = append(at[who.At], a)
		}
	}
	for _, list := range at {
		slices.SortFunc(list, netip.Addr.Compare)
	}
	return at
}
