package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// sample is three gateways at two sites, and volumes of all kinds.
func sample() View {
	gateway := func(i int, domains ...string) Gateway {
		return Gateway{Name: fmt.Sprint("g", i), State: Active, Capacity: 1, Utilization: 10 * i, Domains: domains,
			Addresses: []netip.Addr{addr(fmt.Sprintf("10.0.0.%d", i)), addr(fmt.Sprintf("fd00::%d", i))},
			DNS:       []netip.AddrPort{netip.AddrPortFrom(addr(fmt.Sprintf("10.0.1.%d", i)), 53)}}
	}
	return View{Zone: "nas.example.com", Serial: 7, Services: map[string]uint16{"nfs": 2049, "smb": 445},
		Gateways: []Gateway{gateway(1, "paris"), gateway(2, "paris", "fast"), gateway(3)},
		Volumes: []Volume{{Name: "home"}, {Name: "quick", Domain: "fast"}, {Name: "secret", Domain: "fast", Strict: true},
			{Name: "gateways"}, {Name: "My.Files"}, {Name: "only", Protocols: []string{"nfs"}}},
		Sites: []Site{{"paris", []netip.Prefix{netip.MustParsePrefix("10.7.0.0/16")}}}}
}

func zone(t testing.TB, v View) *Zone {
	t.Helper()
	z, err := NewZone(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// show writes an answer in one line: the code, then the records of the sections without what all have.
func show(a Answer) string {
	words := []string{dns.RcodeToString[a.Rcode]}
	for _, rr := range a.Answer {
		words = append(words, value(rr))
	}
	for _, rr := range a.Authority {
		words = append(words, "auth:"+dns.TypeToString[rr.Header().Rrtype])
	}
	if len(a.Additional) > 0 {
		words = append(words, fmt.Sprintf("+%d", len(a.Additional)))
	}
	return strings.Join(words, " ")
}

func value(rr dns.RR) string {
	return strings.ReplaceAll(strings.TrimPrefix(rr.String(), rr.Header().String()), "\t", " ")
}

func TestAnswer(t *testing.T) {
	z, none := zone(t, sample()), ""
	for _, c := range []struct{ name, kind, client, want string }{
		{"nas.example.com.", "SOA", none, "NOERROR g1.ns.nas.example.com. hostmaster.nas.example.com. 7 3600 600 86400 5"},
		{"nas.example.com.", "NS", none, "NOERROR g1.ns.nas.example.com. g2.ns.nas.example.com. g3.ns.nas.example.com. +3"},
		{"g2.ns.nas.example.com.", "A", none, "NOERROR 10.0.1.2"},
		{"g2.ns.nas.example.com.", "AAAA", none, "NOERROR auth:SOA"},
		{"gateways.nas.example.com.", "A", none, "NOERROR 10.0.0.1 10.0.0.2 10.0.0.3"},
		{"gateways.nas.example.com.", "AAAA", none, "NOERROR fd00::1 fd00::2 fd00::3"},
		{"g1.gateways.nas.example.com.", "A", none, "NOERROR 10.0.0.1"},
		{"g9.gateways.nas.example.com.", "A", none, "NXDOMAIN auth:SOA"},
		{"quick.nas.example.com.", "A", "192.0.2.1", "NOERROR 10.0.0.2"}, // the only one with a path to the storage
		{"secret.nas.example.com.", "AAAA", none, "NOERROR fd00::2"},
		{"home.nas.example.com.", "MX", none, "NOERROR auth:SOA"},
		{"home.nas.example.com.", "ANY", none, `NOERROR "RFC8482" ""`},
		{"nowhere.nas.example.com.", "ANY", none, "NXDOMAIN auth:SOA"},
		{"nas.example.com.", "AXFR", none, "REFUSED"},
		{"nowhere.nas.example.com.", "A", none, "NXDOMAIN auth:SOA"},
		{"a.home.nas.example.com.", "A", none, "NXDOMAIN auth:SOA"},
		{"_tcp.home.nas.example.com.", "A", none, "NOERROR auth:SOA"},
		{"_udp.nas.example.com.", "A", none, "NOERROR auth:SOA"},
		{"_dns-sd._udp.nas.example.com.", "PTR", none, "NOERROR auth:SOA"},
		{"ns.nas.example.com.", "A", none, "NOERROR auth:SOA"},
		{"example.com.", "A", none, "REFUSED"},
		{"xnas.example.com.", "A", none, "REFUSED"},
		{`home\.nas.example.com.`, "A", none, "REFUSED"}, // one label "home.nas"
		{".", "NS", none, "REFUSED"},
		{"_nfs._tcp.quick.nas.example.com.", "SRV", none, "NOERROR 10 888 2049 g2.gateways.nas.example.com. 30 1000 2049 g1.gateways.nas.example.com. 30 777 2049 g3.gateways.nas.example.com. +6"},
		{"_nfs._tcp.secret.nas.example.com.", "SRV", none, "NOERROR 10 1000 2049 g2.gateways.nas.example.com. +2"},
		{"_smb._tcp.nas.example.com.", "SRV", none, "NOERROR 10 1000 445 g1.gateways.nas.example.com. 10 888 445 g2.gateways.nas.example.com. 10 777 445 g3.gateways.nas.example.com. +6"},
		{"_nfs._tcp.home.nas.example.com.", "SRV", "10.7.1.1", "NOERROR 10 1000 2049 g1.gateways.nas.example.com. 10 888 2049 g2.gateways.nas.example.com. 50 777 2049 g3.gateways.nas.example.com. +6"},
		{"_causeway._tcp.nas.example.com.", "SRV", none, "NXDOMAIN auth:SOA"}, // nobody speaks it here
		{"nfs._tcp.nas.example.com.", "SRV", none, "NXDOMAIN auth:SOA"},
		{"_smb._tcp.only.nas.example.com.", "SRV", none, "NXDOMAIN auth:SOA"},
		{"b._dns-sd._udp.nas.example.com.", "PTR", none, "NOERROR nas.example.com."},
		{"lb._dns-sd._udp.nas.example.com.", "PTR", none, "NOERROR nas.example.com."},
		{"_services._dns-sd._udp.nas.example.com.", "PTR", none, "NOERROR _nfs._tcp.nas.example.com. _smb._tcp.nas.example.com."},
		{"_smb._tcp.nas.example.com.", "PTR", none, `NOERROR My\.Files._smb._tcp.nas.example.com. gateways._smb._tcp.nas.example.com. home._smb._tcp.nas.example.com. quick._smb._tcp.nas.example.com. secret._smb._tcp.nas.example.com.`},
		{`MY\.files._nfs._tcp.nas.example.com.`, "SRV", "10.7.1.1", "NOERROR 0 0 2049 my-files.nas.example.com. +2"},
		{`My\.Files._nfs._tcp.nas.example.com.`, "TXT", none, `NOERROR "txtvers=1" "path=/My.Files" "protocols=nfs,smb" "domain=all"`},
		{"quick._smb._tcp.nas.example.com.", "TXT", none, `NOERROR "txtvers=1" "path=/quick" "protocols=nfs,smb" "domain=fast" "share=quick"`},
		{"a.home._nfs._tcp.nas.example.com.", "TXT", none, "NXDOMAIN auth:SOA"},
		{"my-files.nas.example.com.", "MX", none, "NOERROR auth:SOA"},
	} {
		q := Question{Name: c.name, Type: dns.StringToType[c.kind]}
		if c.client != "" {
			q.Client = addr(c.client)
		}
		a := z.Answer(q)
		if got := show(a); got != c.want {
			t.Errorf("%s %s for %q:\n%s\nnot\n%s", c.name, c.kind, c.client, got, c.want)
		}
		if a.Authoritative != (a.Rcode != dns.RcodeRefused) {
			t.Errorf("%s %s: authoritative: %v", c.name, c.kind, a.Authoritative)
		}
	}
}

// TestCase holds that names are answered in the case in which they were asked (0x20).
func TestCase(t *testing.T) {
	z := zone(t, sample())
	for _, name := range []string{"hOmE.NaS.eXaMpLe.CoM.", "noWhere.NaS.eXaMpLe.CoM.", "_nFs._tCp.hOmE.NaS.eXaMpLe.CoM."} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeSRV} {
			a := z.Answer(Question{Name: name, Type: kind})
			for _, rr := range append(a.Answer, a.Authority...) {
				if !strings.HasSuffix(name, rr.Header().Name) {
					t.Errorf("%s is answered for %s", rr.Header().Name, name)
				}
			}
		}
	}
}

// chosen asks for a volume's host and returns the gateway.
func chosen(t *testing.T, z *Zone, q Question) string {
	t.Helper()
	q.Name, q.Type = "home.nas.example.com.", dns.TypeA
	a := z.Answer(q)
	if len(a.Answer) != 1 {
		t.Fatalf("%+v: %s", q, show(a))
	}
	return strings.TrimPrefix(value(a.Answer[0]), "10.0.0.")
}

func clients(n int) (all []netip.Addr) {
	for i := range n {
		all = append(all, netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)}))
	}
	return all
}

// TestSteady holds that a client keeps its gateway while it can, and that the others do when it cannot.
func TestSteady(t *testing.T) {
	v := sample()
	v.Sites = nil
	v.Gateways[2].Capacity = 2
	z, before, count := zone(t, v), map[netip.Addr]string{}, map[string]int{}
	for _, c := range clients(4000) {
		before[c] = chosen(t, z, Question{Client: c, Draw: uint64(len(before))})
		count[before[c]]++
	}
	if count["3"] < 1800 || count["3"] > 2200 || count["1"] < 850 || count["1"] > 1150 {
		t.Errorf("by capacity 1:1:2 they are spread %v", count)
	}
	for change, edit := range map[string]func(*View){
		"another load":         func(v *View) { v.Gateways[0].Utilization, v.Gateways[1].Utilization = 30, 5 },
		"a gateway is too hot": func(v *View) { v.Gateways[0].Utilization = 90 },
		"a gateway drains":     func(v *View) { v.Gateways[0].State = Draining },
		"a gateway died":       func(v *View) { v.Gateways[0].State = Down },
	} {
		next := sample()
		next.Sites, next.Gateways[2].Capacity = nil, 2
		edit(&next)
		z, moved := zone(t, next), 0
		for _, c := range clients(4000) {
			now := chosen(t, z, Question{Client: c})
			if now != before[c] {
				moved++
			}
			if now != before[c] && (before[c] != "1" || change == "another load") {
				t.Fatalf("%s: %v goes from %s to %s", change, c, before[c], now)
			}
		}
		if change != "another load" && moved != count["1"] {
			t.Errorf("%s: %d clients go elsewhere, of %d", change, moved, count["1"])
		}
	}
}

// TestSpread holds that questions of resolvers are spread by what is left of the capacity.
func TestSpread(t *testing.T) {
	v := sample()
	v.Gateways[0].Utilization, v.Gateways[1].Utilization, v.Gateways[2].Utilization = 0, 20, 40
	z, count := zone(t, v), map[string]int{}
	const n = 24000
	for i := range n {
		count[chosen(t, z, Question{Draw: mix(uint64(i))})]++
	}
	for i, share := range []int{100, 80, 60} {
		got := count[fmt.Sprint(i+1)]
		if want := n * share / 240; got < want*95/100 || got > want*105/100 {
			t.Errorf("g%d is answered %d times, not about %d", i+1, got, want)
		}
	}
}

// TestHeat holds that a gateway that was too busy must become clearly less so.
func TestHeat(t *testing.T) {
	v := sample()
	v.Sites = nil
	var z *Zone
	for _, step := range []struct {
		used, threshold int
		answered        bool
	}{
		{80, 90, false}, // far above the others' average
		{55, 90, false}, {29, 90, true}, {45, 90, true}, {55, 90, true}, {70, 90, false}, {31, 40, false}, {30, 40, true}, {40, 40, true}, {41, 40, false},
	} {
		v.Gateways[0].Utilization, v.Gateways[0].Threshold = step.used, uint8(step.threshold)
		next, err := NewZone(v, z)
		if err != nil {
			t.Fatal(err)
		}
		z = next
		seen := false
		for i := range uint64(500) {
			seen = seen || chosen(t, z, Question{Draw: mix(i)}) == "1"
		}
		if seen != step.answered {
			t.Errorf("%+v: answered %v", step, seen)
		}
	}
	for i := range v.Gateways {
		v.Gateways[i].Utilization = 99
	}
	if chosen(t, zone(t, v), Question{}) == "" {
		t.Error("where all are too busy, nobody is answered")
	}
}

func TestSites(t *testing.T) {
	v := sample()
	v.Sites = append(v.Sites, Site{"annex", []netip.Prefix{netip.MustParsePrefix("10.7.7.0/24"), netip.MustParsePrefix("10.0.0.3/32")}})
	z := zone(t, v)
	for i := range 200 {
		if got := chosen(t, z, Question{Client: netip.AddrFrom4([4]byte{10, 7, 1, byte(i)})}); got == "3" {
			t.Fatal("a client in paris is sent away from there")
		}
		if got := chosen(t, z, Question{Client: netip.AddrFrom4([4]byte{10, 7, 7, byte(i)})}); got != "3" {
			t.Fatal("a client of the longer network is sent to ", got)
		}
	}
	for i := range uint64(200) {
		if got := chosen(t, z, Question{Near: addr("10.7.1.1"), Draw: mix(i)}); got == "3" {
			t.Fatal("a resolver in paris is sent away from there")
		}
		if got := chosen(t, z, Question{Client: addr("10.7.7.1"), Near: addr("10.7.1.1"), Draw: mix(i)}); got != "3" {
			t.Fatal("the resolver's site counts more than the client's")
		}
	}
	v.Gateways[2].State = Down
	if got := chosen(t, zone(t, v), Question{Client: addr("10.7.7.1")}); got == "3" || got == "" {
		t.Errorf("with nobody at its site a client gets %q", got)
	}
}

// TestNearestAddresses holds that a gateway in two networks is answered with its addresses in the client's.
func TestNearestAddresses(t *testing.T) {
	sites := []Site{{"paris", []netip.Prefix{netip.MustParsePrefix("10.7.0.0/16"), netip.MustParsePrefix("2001:db8:7::/48")}}}
	all := []netip.Addr{addr("10.0.0.1"), addr("10.7.0.1"), addr("2001:db8:9::1")}
	for client, want := range map[string]string{
		"10.7.1.1":      "[10.7.0.1 2001:db8:9::1]", // of IPv6 it has none there
		"10.9.1.1":      "[10.0.0.1 10.7.0.1 2001:db8:9::1]",
		"2001:db8:7::9": "[10.7.0.1 2001:db8:9::1]",
	} {
		if got := fmt.Sprint(Nearest(sites, addr(client), all)); got != want {
			t.Errorf("%s: %s, not %s", client, got, want)
		}
	}
	z := zone(t, View{Zone: "nas.example.com", Services: map[string]uint16{"nfs": 2049}, Sites: sites,
		Gateways: []Gateway{{Name: "g1", State: Active, Addresses: all[:2], Capacity: 1, Utilization: 1}}})
	for client, want := range map[string]int{"10.7.1.1": 1, "10.9.1.1": 2} {
		if a := z.Answer(Question{Name: "nas.example.com.", Type: dns.TypeA, Client: addr(client)}); len(a.Answer) != want {
			t.Errorf("%s: %v", client, a.Answer)
		}
	}
}

// TestDraining holds that a gateway that drains or died is in no answer but those for its own name.
func TestDraining(t *testing.T) {
	for _, state := range []State{Draining, Down} {
		v := sample()
		v.Gateways[1].State = state
		z := zone(t, v)
		for _, name := range []string{"", "home.", "quick.", "gateways.", "_nfs._tcp.", "_nfs._tcp.home.", "home._nfs._tcp.", "_smb._tcp.quick."} {
			for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV} {
				for i := range uint64(50) {
					a := z.Answer(Question{Name: name + "nas.example.com.", Type: kind, Draw: mix(i)})
					for _, rr := range append(a.Answer, a.Additional...) {
						if s := rr.String(); strings.Contains(s, "10.0.0.2") || strings.Contains(s, "fd00::2") || strings.Contains(s, "g2") {
							t.Fatalf("%v: %s", state, s)
						}
					}
				}
			}
		}
		got := show(z.Answer(Question{Name: "g2.gateways.nas.example.com.", Type: dns.TypeA}))
		if want := map[State]string{Draining: "NOERROR 10.0.0.2", Down: "NOERROR auth:SOA"}[state]; got != want {
			t.Errorf("%v: %s", state, got)
		}
		if got := show(z.Answer(Question{Name: "secret.nas.example.com.", Type: dns.TypeA})); state == Down && got != "NOERROR auth:SOA" || state == Draining && got != "NOERROR 10.0.0.2" {
			t.Errorf("a volume that nobody else may serve, %v: %s", state, got)
		}
	}
}

func TestLabels(t *testing.T) {
	names := []string{"home", "Home", "HOME", "a.b", "a_b", "x.y", "gateways", "ns", "_tcp", "...", "-", "Über", strings.Repeat("long.", 20), "ns-1"}
	got := labels(names, "gateways", "ns")
	seen := map[string]string{}
	for _, name := range names {
		label := got[name]
		if !isHostLabel(label) || len(label) > 63 || label == "gateways" || label == "ns" || seen[label] != "" {
			t.Errorf("%q gets %q, and %q has it", name, label, seen[label])
		}
		seen[label] = name
	}
	for name, want := range map[string]string{"home": "home", "x.y": "x-y", "ns-1": "ns-1", "_tcp": "tcp"} {
		if got[name] != want {
			t.Errorf("%q gets %q", name, got[name])
		}
	}
	slices.Reverse(names)
	if again := labels(names, "gateways", "ns"); fmt.Sprint(again) != fmt.Sprint(got) {
		t.Errorf("%v in one order, %v in another", got, again)
	}
}

func TestViewValidate(t *testing.T) {
	for _, v := range []View{{}, {Zone: "a..b"}, {Zone: "a_b.c"}, {Zone: strings.Repeat("a.", 100) + "a"}, {Zone: "a", TTL: time.Millisecond}, {Zone: "a", Sites: []Site{{Name: "x", Networks: make([]netip.Prefix, 1)}}}} {
		if _, err := NewZone(v, nil); err == nil {
			t.Errorf("%+v is taken", v)
		}
	}
	if z := zone(t, View{Zone: "NAS.Example.Com."}); z.view.Zone != "nas.example.com" || z.ttl != 5 {
		t.Error(z.view.Zone, z.ttl)
	}
	if got := show(zone(t, View{Zone: "a"}).Answer(Question{Name: "a.", Type: dns.TypeA})); got != "NOERROR auth:SOA" {
		t.Error(got)
	}
}
