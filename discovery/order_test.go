package discovery

import (
	"net/netip"
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	addr := netip.MustParseAddr
	v := View{Zone: "nas.test", Volumes: []Volume{{Name: "home"}, {Name: "far", Domain: "attic"}}}
	for i, name := range []string{"a", "b", "c", "d"} {
		v.Gateways = append(v.Gateways, Gateway{Name: name, State: Active, Capacity: 100, Utilization: 10,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), addr("fd00::" + string(rune('1'+i)))}})
	}
	v.Gateways[0].Utilization, v.Gateways[1].State, v.Gateways[3].Domains = 99, Draining, []string{"attic"}
	z, err := NewZone(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	home := z.Order("home", addr("192.0.2.7"))
	if slices.SortFunc(home, netip.Addr.Compare); !slices.Equal(home, []netip.Addr{addr("10.0.0.3"), addr("10.0.0.4")}) {
		t.Error("the busy or the draining one is there:", home)
	}
	if far := z.Order("far", addr("2001:db8::1")); len(far) != 2 || far[0] != addr("fd00::4") || far[1] != addr("fd00::3") {
		t.Error("the one with the storage is not the first:", far)
	}
	first := map[netip.Addr]int{}
	for i := range 200 {
		client := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		order := z.Order("home", client)
		first[order[0]]++
		if again := z.Order("home", client); !slices.Equal(order, again) {
			t.Error("a client hears", order, "and", again)
		}
	}
	if len(first) != 2 {
		t.Error("all clients are sent to one:", first)
	}
	if z.Order("none", addr("192.0.2.7")) != nil {
		t.Error("a volume that is not there is somewhere")
	}
	for i := range v.Gateways {
		v.Gateways[i].State, v.Gateways[i].Utilization = Draining, 99
	}
	if z, _ = NewZone(v, nil); len(z.Order("home", addr("192.0.2.7"))) != 4 {
		t.Error("nobody is left where all drain")
	}
}
