package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"causeway/discovery"
	"causeway/internal/testport"
)

// dnsCluster runs three gateways that answer by DNS at their addresses.
func dnsCluster(t *testing.T) (c *nodes, port uint16) {
	t.Helper()
	if l, err := net.Listen("tcp", "127.0.0.3:0"); err != nil {
		t.Skip("this system has no other loopback addresses: ", err)
	} else {
		l.Close()
	}
	c = &nodes{t: t, at: map[string]*running{}, addr: map[string]netip.Addr{}}
	for i := range 3 {
		c.addr[fmt.Sprint("g", i+1)] = demoAddress(i)
	}
	c.port, port = testport.At(t, "127.0.0.1", "127.0.0.2", "127.0.0.3"), testport.At(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	at := func(name string) string { return fmt.Sprintf("%v:%d", c.addr[name], port) }
	others := []string{"--shared-cpu", "--smb", c.anotherPort()}
	c.start("g1", append(others, "--bootstrap", "--zone", "NAS.test.", "--dns", at("g1"))...)
	for _, name := range []string{"g2", "g3"} {
		if name == "g3" { // only one gateway answers aware clients
			others = append(others, "--aware", fmt.Sprint(testport.At(t, "127.0.0.3")))
		}
		c.join(name, append(others, "--dns", at(name))...)
	}
	return c, port
}

// resolve asks a gateway and returns the values of the answer, sorted.
func resolve(t *testing.T, at netip.Addr, port uint16, name string, kind uint16, flags ...func(*dns.Msg)) (values []string) {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, kind)
	for _, f := range flags {
		f(q)
	}
	a, _, err := (&dns.Client{Timeout: patience}).Exchange(q, netip.AddrPortFrom(at, port).String())
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range a.Answer {
		values = append(values, strings.ReplaceAll(strings.TrimPrefix(rr.String(), rr.Header().String()), "\t", " "))
	}
	slices.Sort(values)
	return values
}

func asResolver(q *dns.Msg) { q.RecursionDesired = false }

// TestDiscovery: every gateway answers the same; one that drains and one that dies vanish from the answers.
func TestDiscovery(t *testing.T) {
	c, port := dnsCluster(t)
	out, stderr, code := run(t, "volume", "create", "home", "--backend", "posix:"+share(t, "home"), "--state-dir", c.at["g2"].state)
	if code != 0 {
		t.Fatal(out, stderr)
	}
	everywhere := func(what string, ok func(at netip.Addr) bool) time.Duration {
		return c.until(what, func() bool {
			for name, at := range c.addr {
				if c.at[name] != nil && !ok(at) {
					return false
				}
			}
			return true
		})
	}
	gateways := func(want ...string) func(netip.Addr) bool {
		return func(at netip.Addr) bool {
			return slices.Equal(resolve(t, at, port, "gateways.nas.test.", dns.TypeA), want)
		}
	}
	everywhere("all gateways are answered", gateways("127.0.0.1", "127.0.0.2", "127.0.0.3"))
	everywhere("the volume is listed", func(at netip.Addr) bool {
		return slices.Equal(resolve(t, at, port, "_nfs._tcp.nas.test.", dns.TypePTR), []string{"home._nfs._tcp.nas.test."})
	})
	mine := resolve(t, c.addr["g1"], port, "home.nas.test.", dns.TypeA)
	if len(mine) != 1 {
		t.Fatalf("a client is answered %v", mine)
	}
	everywhere("one client is answered the same", func(at netip.Addr) bool {
		return slices.Equal(resolve(t, at, port, "home.nas.test.", dns.TypeA), mine)
	})
	seen := map[string]bool{}
	for range 200 {
		seen[strings.Join(resolve(t, c.addr["g2"], port, "home.nas.test.", dns.TypeA, asResolver), " ")] = true
	}
	if len(seen) != 3 {
		t.Errorf("a resolver is answered %v", seen)
	}
	if got := resolve(t, c.addr["g3"], port, "_nfs._tcp.home.nas.test.", dns.TypeSRV); len(got) != 3 || !strings.HasSuffix(got[0], fmt.Sprintf(" %d g1.gateways.nas.test.", c.port)) {
		t.Errorf("SRV: %v", got)
	}

	if got := resolve(t, c.addr["g1"], port, "_smb._tcp.home.nas.test.", dns.TypeSRV); len(got) != 3 {
		t.Errorf("SRV of SMB: %v", got)
	}
	if got := resolve(t, c.addr["g2"], port, "_causeway._tcp.nas.test.", dns.TypeSRV); len(got) != 1 || !strings.HasSuffix(got[0], " g3.gateways.nas.test.") {
		t.Errorf("SRV of aware clients: %v", got)
	}
	if out, stderr, code := run(t, "volume", "set", "home", "--smb=off", "--state-dir", c.at["g2"].state); code != 0 {
		t.Fatal(out, stderr)
	}
	everywhere("the volume is no share any more", func(at netip.Addr) bool {
		return len(resolve(t, at, port, "_smb._tcp.home.nas.test.", dns.TypeSRV)) == 0 && len(resolve(t, at, port, "_nfs._tcp.home.nas.test.", dns.TypeSRV)) == 3
	})

	c.testSites(port)

	if out, stderr, code := run(t, "node", "drain", "g3", "--state-dir", c.at["g1"].state); code != 0 {
		t.Fatal(out, stderr)
	}
	t.Logf("a gateway that drains vanished after %v", everywhere("it vanishes", gateways("127.0.0.1", "127.0.0.2")))
	if out, stderr, code := run(t, "node", "set", "g3", "--active", "--state-dir", c.at["g1"].state); code != 0 {
		t.Fatal(out, stderr)
	}
	everywhere("it comes back", gateways("127.0.0.1", "127.0.0.2", "127.0.0.3"))
	c.until("any gateway may die", func() bool {
		voting := 0
		for _, s := range c.status("g1").Database.Servers {
			if s.Votes && s.Answers {
				voting++
			}
		}
		return voting == 3
	})
	c.at["g2"].signal(syscall.SIGKILL)
	c.at["g2"] = nil
	t.Logf("a gateway that was killed vanished after %v", everywhere("it vanishes", gateways("127.0.0.1", "127.0.0.3")))
	text, err := newControl(c.at["g3"].state).do(t.Context(), "GET", "/metrics")
	if err != nil || !strings.Contains(string(text), `causeway_discovery_questions_total{result="answered"}`) {
		t.Errorf("no metrics of questions: %v", err)
	}
	var r discovery.Records
	c.ask("g1", &r, "discovery", "records")
	for _, g := range r.Gateways {
		if g.Chosen != (g.Gateway != "g2") || g.Why == "" {
			t.Errorf("%+v", g)
		}
	}
}

// testSites says which clients are where.
func (c *nodes) testSites(port uint16) {
	c.t.Helper()
	var sites []struct{ Name string }
	c.ask("g1", &sites, "site", "set", "annex", "10.7.1.9/16", "127.0.0.2/32") // with the address of g2
	c.ask("g3", &sites, "site", "set", "main", "127.0.0.3/32")
	c.ask("g2", &sites, "site", "ls")
	if len(sites) != 2 || sites[0].Name != "annex" {
		c.t.Errorf("%+v", sites)
	}
	subnet := func(q *dns.Msg) {
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(10, 7, 200, 0).To4()}}
	}
	c.until("the site's gateway is answered", func() bool {
		return slices.Equal(resolve(c.t, c.addr["g1"], port, "home.nas.test.", dns.TypeA, subnet), []string{"127.0.0.2"})
	})
	c.until("another gateway answers the same, and says why", func() bool {
		var r discovery.Records
		c.ask("g3", &r, "discovery", "records", "--client", "10.7.1.1")
		i := slices.IndexFunc(r.Records, func(x discovery.Record) bool { return x.Name == "home.nas.test." && x.Type == "A" })
		return i >= 0 && r.Records[i].Value == "127.0.0.2" && r.Site == "annex"
	})
	for _, words := range [][]string{{"site", "set", "third", "10.7.0.0/16"}, {"site", "set", "a/b", "10.8.0.0/16"}, {"site", "rm", "nowhere"}, {"cluster", "set", "--zone", "a..b"}} {
		if out, _, code := run(c.t, append(words, "--state-dir", c.at["g1"].state)...); code == 0 {
			c.t.Errorf("%v succeeds: %s", words, out)
		}
	}
	c.ask("g1", &sites, "site", "rm", "annex")
	c.ask("g1", &sites, "site", "rm", "main")
	if st := c.status("g3"); st.Settings.Zone != "nas.test" || len(sites) != 0 {
		c.t.Errorf("%+v", st.Settings)
	}
	if out, stderr, code := run(c.t, "discovery", "records", "--state-dir", c.at["g2"].state); code != 0 || !strings.Contains(out, "home.nas.test.") {
		c.t.Error(out, stderr)
	}
}

func TestNaming(t *testing.T) {
	for _, f := range []naming{{zone: "a..b"}, {at: []string{"0.0.0.0"}}, {at: []string{"host:53"}}, {at: []string{""}}} {
		if f.validate() == nil {
			t.Errorf("%+v is taken", f)
		}
	}
	f := naming{zone: "Nas.Example.com.", at: []string{"10.0.0.1", "[2001:db8::1]:5353", "2001:db8::2"}}
	if err := f.validate(); err != nil || f.zone != "nas.example.com" || fmt.Sprint(f.addresses) != "[10.0.0.1:53 [2001:db8::1]:5353 [2001:db8::2]:53]" {
		t.Errorf("%+v, %v", f, err)
	}
}
