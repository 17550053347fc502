package member

import (
	"context"
	"net/netip"
	"slices"

	"causeway/cluster/address"
	"causeway/cluster/record"
)

// keeper has the service addresses that this gateway shall answer for, and no others.
type keeper struct {
	m       *Member
	manager *address.Manager
	failed  map[netip.Addr]string // why, so that it is said once
	said    []netip.Addr          // to Config.Holds
}

func newKeeper(m *Member) (*keeper, error) {
	k := &keeper{m: m, failed: make(map[netip.Addr]string)}
	var err error
	k.manager, err = address.New(address.Config{
		Listener: m.cfg.Listener, Interface: m.cfg.Interface, Logger: m.log,
		Entitled: func(a netip.Addr) bool { return m.Valid() && assigned(m.Cluster().Table())[a].At == m.cfg.Cluster.Node },
	})
	return k, err
}

// Address is a service address.
type Address struct {
	Address netip.Addr `json:"address"`
	Home    string     `json:"home"` // the node to which it belongs
	At      string     `json:"at"`   // the node that answers for it; "" if none may
}

// assigned says who shall answer for each service address.
func assigned(t *record.Table) map[netip.Addr]Address {
	all := make(map[netip.Addr]Address)
	for item := range t.All(record.KindNode) {
		home := item.Value.(*record.Node)
		takers := takers(t, home)
		for _, a := range home.Addresses {
			all[a] = Address{a, home.Name, address.Assign(a, home.Name, takers)}
		}
	}
	return all
}

// takers returns the nodes that may answer at home's addresses: those that run and serve everything that home does. A node outside
// of a strict domain would refuse what clients use there.
func takers(t *record.Table, home *record.Node) []string {
	var names []string
	for item := range t.All(record.KindMember) {
		n := t.Node(item.Key.Name)
		fit := n != nil
		for v := range t.All(record.KindVolume) {
			v := v.Value.(*record.Volume)
			if fit && v.DomainPolicy == record.Strict && record.SharesDomain(home, v) && !record.SharesDomain(n, v) {
				fit = false
			}
		}
		if fit {
			names = append(names, n.Name)
		}
	}
	return names
}

// keep takes and drops addresses. What fails is tried again with the next call.
func (k *keeper) keep(ctx context.Context, t *record.Table) {
	self, want := k.m.cfg.Cluster.Node, make(map[netip.Addr]Address)
	if k.m.Valid() {
		for a, who := range assigned(t) {
			if who.At == self {
				want[a] = who
			}
		}
	}
	held := k.manager.Held()
	for a, state := range held {
		if _, ok := want[a]; !ok && state != address.Fixed {
			k.note(a, "drop", k.manager.Drop(ctx, a))
		}
	}
	for a, who := range want {
		if _, ok := held[a]; ok {
			continue
		}
		if who.Home == self {
			k.note(a, "hold", k.manager.Hold(ctx, a))
		} else {
			k.note(a, "take over", k.manager.TakeOver(ctx, a))
		}
	}
}

// report says which addresses are on this machine because of this gateway, when that has changed.
func (k *keeper) report() {
	var held []netip.Addr
	for a, state := range k.manager.Held() {
		if state == address.Held {
			held = append(held, a)
		}
	}
	slices.SortFunc(held, netip.Addr.Compare)
	if k.m.cfg.Holds != nil && !slices.Equal(held, k.said) {
		k.said = held
		k.m.cfg.Holds(held)
	}
}

// note says what cannot be done, once for each reason.
func (k *keeper) note(a netip.Addr, op string, err error) {
	if err == nil {
		delete(k.failed, a)
		return
	}
	if text := err.Error(); k.failed[a] != text {
		k.failed[a] = text
		k.m.log.Warn("a service address does not follow", "addr", a, "op", op, "err", err)
	}
}

func contains(list []netip.Addr, a netip.Addr) bool { return slices.Contains(list, a) }
