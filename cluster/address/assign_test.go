package address

import (
	"net/netip"
	"testing"
)

func TestAssign(t *testing.T) {
	all := []string{"g1", "g2", "g3", "g4"}
	without := map[string][]string{"g1": {"g4", "g2", "g3"}, "g2": {"g3", "g1", "g4"}}
	taken := map[string]int{}
	for i := range 100 {
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		if got := Assign(addr, "g1", all); got != "g1" {
			t.Fatalf("%v belongs to g1, which runs, and went to %q", addr, got)
		}
		taker := Assign(addr, "g1", without["g1"])
		if taker == "g1" || taker != Assign(addr, "g1", []string{"g2", "g3", "g4"}) {
			t.Fatalf("%v went to %q, or it depends on the order", addr, taker)
		}
		taken[taker]++
		if rest := Assign(addr, "g1", []string{"g3", "g4"}); taker != "g2" && rest != taker {
			t.Errorf("%v moved from %s to %s because g2 left", addr, taker, rest)
		}
	}
	for _, name := range all[1:] {
		if taken[name] < 10 {
			t.Errorf("%s took %d of 100 addresses", name, taken[name])
		}
	}
	if got := Assign(netip.MustParseAddr("10.0.0.1"), "g1", nil); got != "" {
		t.Errorf("nobody runs, and %q has it", got)
	}
}
