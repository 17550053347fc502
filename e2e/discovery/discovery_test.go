//go:build linux

package discovery

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const zone = "nas.example.com"

// stage is three gateways that answer by DNS, and a site's resolver with the delegation to them.
type stage struct {
	t *testing.T
	*harness.Cluster
	network *harness.Network
	servers []netip.Addr // where the gateways answer by DNS
	bind    *harness.Resolver
}

func setStage(t *testing.T) *stage {
	t.Helper()
	t.Parallel()
	harness.RequireProgram(t, "named", "bind9")
	harness.RequireProgram(t, "unbound", "unbound")
	s := &stage{t: t, network: harness.NewNetwork(t)}
	s.Cluster = harness.NewCluster(t, s.network, 3, harness.ClusterConfig{
		Flags: []string{"--zone", zone},
		Host: func(i int, host *harness.Host) []string {
			at := host.Address
			if i == 2 { // this one answers at its service address, which it does not have yet when it starts
				at = netip.MustParseAddr("10.99.0.203")
			}
			s.servers = append(s.servers, at)
			return []string{"--dns", at.String()}
		},
	})
	for _, m := range s.Members {
		m.Command("node", "set", m.Name, "--update-interval", "1s")
	}
	root, err := os.MkdirTemp("", "cw-volumes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, name := range []string{"home", "My.Files"} {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		s.CreateVolume(name, dir)
	}
	for _, at := range s.servers { // a service address comes some time after the start
		s.Await("an answer of "+at.String(), func() bool {
			got, err := s.network.Test().Run(t.Context(), "dig", "@"+at.String(), "+time=1", "+tries=1", zone, "SOA")
			return err == nil && got.Status == 0 && strings.Contains(got.Stdout, "status: NOERROR")
		})
	}
	text := "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A " + "10.99.0.1\n"
	for i, m := range s.Members {
		text += fmt.Sprintf("nas NS %[1]s.ns.nas\n%[1]s.ns.nas A %[2]v\n", m.Name, s.servers[i])
	}
	s.bind = harness.StartBIND(t, s.network.Host(), "example.com", text)
	return s
}

// short asks at a server and returns the values of the answer, sorted.
func (s *stage) short(at netip.Addr, words ...string) []string {
	s.t.Helper()
	out := s.network.Test().Dig(append([]string{"@" + at.String(), "+short"}, words...)...)
	return slices.Sorted(strings.Lines(out))
}

// expect waits until a server answers so.
func (s *stage) expect(at netip.Addr, want string, words ...string) {
	s.t.Helper()
	got := ""
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if got = strings.Join(s.short(at, words...), ""); got == want {
			return
		}
	}
	s.t.Errorf("%v at %v:\n%snot\n%s", words, at, got, want)
}

// TestResolvers asks by way of a BIND that has the delegation and of an unbound with a stub zone, as sites have them.
func TestResolvers(t *testing.T) {
	s := setStage(t)
	plain := harness.StartUnbound(t, s.network.Host(), zone, s.servers, false)
	naming := harness.StartUnbound(t, s.network.Host(), zone, s.servers, true)
	all := "10.99.0.201\n10.99.0.202\n10.99.0.203\n"
	for _, r := range []*harness.Resolver{s.bind, plain, naming} {
		at := r.Host.Address
		s.expect(at, all, "gateways."+zone)
		s.expect(at, all, "+tcp", "gateways."+zone)
		s.expect(at, "10.99.0.202\n", "g2.gateways."+zone)
		s.expect(at, "g1.ns."+zone+".\ng2.ns."+zone+".\ng3.ns."+zone+".\n", "NS", zone)
		s.expect(at, "", "AAAA", "home."+zone)
		s.expect(at, `"txtvers=1" "path=/My.Files" "protocols=nfs" "domain=all"`+"\n", "TXT", `My\.Files._nfs._tcp.`+zone)
		if got := s.short(at, "home."+zone); len(got) != 1 || !strings.Contains(all, got[0]) {
			t.Errorf("home: %q", got)
		}
		if got := s.network.Test().Dig("@"+at.String(), "nowhere."+zone); !strings.Contains(got, "status: NXDOMAIN") || !strings.Contains(got, "SOA\tg1.ns."+zone) {
			t.Errorf("a name that does not exist:\n%s", got)
		}
		s.browse(at)
	}
	s.spread(plain.Host.Address, naming.Host.Address)
	s.dies(plain.Host.Address)
}

// browse finds the exports as RFC 6763 has it: the domain, the services, the instances, and where each is.
func (s *stage) browse(at netip.Addr) {
	s.t.Helper()
	s.expect(at, zone+".\n", "PTR", "b._dns-sd._udp."+zone)
	s.expect(at, zone+".\n", "PTR", "lb._dns-sd._udp."+zone)
	s.expect(at, "_nfs._tcp."+zone+".\n", "PTR", "_services._dns-sd._udp."+zone)
	s.expect(at, `My\.Files._nfs._tcp.`+zone+".\nhome._nfs._tcp."+zone+".\n", "PTR", "_nfs._tcp."+zone)
	for _, name := range s.short(at, "PTR", "_nfs._tcp."+zone) {
		where := s.short(at, "SRV", strings.TrimSuffix(name, "\n"))
		if len(where) != 1 {
			s.t.Fatalf("%s is at %q", name, where)
		}
		fields := strings.Fields(where[0])
		if got := s.short(at, fields[3]); fields[2] != "2049" || len(got) != 1 || !strings.HasPrefix(got[0], "10.99.0.20") {
			s.t.Errorf("%s: %q, %q", name, where, got)
		}
	}
	if got := s.short(at, "SRV", "_nfs._tcp.home."+zone); len(got) != 3 || !strings.HasSuffix(got[0], ".gateways."+zone+".\n") {
		s.t.Errorf("gateways of home: %q", got)
	}
}

// spread holds that clients of a resolver that names them keep their gateway, and that those of another are spread.
func (s *stage) spread(plain, naming netip.Addr) {
	s.t.Helper()
	seen := map[string]bool{}
	for begun := time.Now(); len(seen) < 2 && time.Since(begun) < 3*time.Minute; time.Sleep(200 * time.Millisecond) {
		seen[strings.Join(s.short(plain, "home."+zone), "")] = true // it keeps each answer for its TTL
	}
	if len(seen) < 2 {
		s.t.Errorf("all clients of a resolver are sent to %v", seen)
	}
	s.Await("one client is sent to the same gateway by a resolver that names it, again, and when it asks itself", func() bool {
		first := s.short(naming, "home."+zone) // this machine's load counts: a gateway may be left out for a while
		return len(first) == 1 && slices.Equal(first, s.short(naming, "home."+zone)) && slices.Equal(first, s.short(s.servers[0], "home."+zone))
	})
}

// dies holds that a resolver does without a gateway that dies, though that one was one of its servers.
func (s *stage) dies(at netip.Addr) {
	s.t.Helper()
	s.Members[1].KillAll()
	begun := time.Now()
	for _, server := range []netip.Addr{s.servers[0], s.servers[2]} {
		s.expect(server, "10.99.0.201\n10.99.0.203\n", "gateways."+zone)
	}
	s.t.Logf("a gateway whose machine died vanished after %v", time.Since(begun))
	s.expect(s.bind.Host.Address, "10.99.0.201\n10.99.0.203\n", "gateways."+zone)
	s.t.Logf("and from what BIND answers after %v", time.Since(begun))
	s.expect(at, "10.99.0.201\n10.99.0.203\n", "gateways."+zone)
	s.expect(s.servers[0], "g1.ns."+zone+".\ng3.ns."+zone+".\n", "NS", zone)
	if got := s.short(at, "SRV", "_nfs._tcp.home."+zone); len(got) != 2 {
		s.t.Errorf("gateways of home: %q", got)
	}
}

// TestManners asks what a server for the public should not answer.
func TestManners(t *testing.T) {
	s := setStage(t)
	at, test := "@"+s.servers[2].String(), s.network.Test()
	for want, words := range map[string][]string{
		"status: REFUSED":                   {"CH", "TXT", "version.bind"},
		"status: REFUSED, ":                 {"www.example.org"},
		"Transfer failed":                   {"AXFR", zone},
		"RFC8482":                           {"ANY", zone},
		"flags: qr aa rd;":                  {"home." + zone},
		"hOmE.nAs.eXaMpLe.cOm.\t5\tIN\tA\t": {"hOmE.nAs.eXaMpLe.cOm"},
		"; COOKIE: ":                        {"+cookie", "home." + zone},
		"(good)":                            {"+cookie", "home." + zone},
		"CLIENT-SUBNET: 10.7.0.0/16/16":     {"+subnet=10.7.0.0/16", "home." + zone},
		"status: BADVERS":                   {"+edns=1", "+noednsnegotiation", zone},
		"status: NOTIMP":                    {"+opcode=NOTIFY", zone},
	} {
		if got := test.Dig(append([]string{at}, words...)...); !strings.Contains(got, want) {
			t.Errorf("dig %v does not print %q:\n%s", words, want, got)
		}
	}
	s.Members[0].Command("node", "drain", "g2")
	s.expect(s.servers[2], "10.99.0.201\n10.99.0.203\n", "gateways."+zone)
	s.Members[0].Command("node", "set", "g2", "--active")
	s.expect(s.servers[2], "10.99.0.201\n10.99.0.202\n10.99.0.203\n", "gateways."+zone)
	out := s.Members[1].Command("discovery", "records", "--client", "10.99.0.1")
	if !strings.Contains(out, "home."+zone+".") || !strings.Contains(out, "come into question") {
		t.Errorf("%s", out)
	}
}
