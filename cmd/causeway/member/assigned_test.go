package member

import (
	"net/netip"
	"testing"

	"causeway/cluster/record"
)

// TestAssignedNear: who takes a dead gateway's address is at its site, or where the address is, as long as somebody is.
func TestAssignedNear(t *testing.T) {
	address := netip.MustParseAddr
	nodes := []*record.Node{
		{Name: "g1", Addresses: []netip.Addr{address("10.7.0.1"), address("10.9.0.1")}},
		{Name: "g2", Addresses: []netip.Addr{address("10.7.0.2")}},
		{Name: "g3", Domains: []string{"rome"}},
		{Name: "g4"},
	}
	sites := []record.Site{
		{Name: "paris", Networks: []netip.Prefix{netip.MustParsePrefix("10.7.0.0/16")}},
		{Name: "rome", Networks: []netip.Prefix{netip.MustParsePrefix("10.8.0.0/16")}},
	}
	for _, test := range []struct {
		running map[string]uint64
		want    map[string]string // "" : any of those that run
	}{
		{map[string]uint64{"g1": 1, "g2": 1, "g3": 1, "g4": 1}, map[string]string{"10.7.0.1": "g1", "10.9.0.1": "g1", "10.7.0.2": "g2"}},
		{map[string]uint64{"g2": 1, "g3": 1, "g4": 1}, map[string]string{"10.7.0.1": "g2", "10.9.0.1": "g2"}},
		{map[string]uint64{"g1": 1, "g3": 1, "g4": 1}, map[string]string{"10.7.0.2": "g1"}},
		{map[string]uint64{"g3": 1}, map[string]string{"10.7.0.1": "g3", "10.7.0.2": "g3"}},
	} {
		for _, n := range nodes {
			test.running[n.Name] += 0
		}
		table := tableOf(test.running)
		var changes []record.Change
		for _, n := range nodes {
			key := record.Named(record.KindNode, n.Name)
			changes = append(changes, record.Change{Key: key, Item: &record.Item{Key: key, Value: n}})
		}
		key := record.Sole(record.KindSettings)
		settings := *record.DefaultSettings()
		settings.Sites = sites
		table.Apply(2, append(changes, record.Change{Key: key, Item: &record.Item{Key: key, Value: &settings}}))
		all := assigned(table)
		for a, want := range test.want {
			if got := all[address(a)].At; got != want {
				t.Errorf("of %v, %s answers for %s, not %s", test.running, got, a, want)
			}
		}
	}
}
