package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	library "causeway/client"
	"causeway/cmd/causeway/member"
	"causeway/internal/testport"
	"causeway/redirect"
	"causeway/redirect/demand"
)

// clientsOf lists the clients that a gateway knows of, of a kind.
func (c *nodes) clientsOf(asked, kind string) (out []member.Client) {
	c.t.Helper()
	list := member.ClientList{}
	c.ask(asked, &list, "clients")
	for _, u := range list.Clients {
		if u.Kind == kind && u.Volume != "" {
			out = append(out, u)
		}
	}
	return out
}

// fails runs a command that must not succeed, and returns what it says.
func (c *nodes) fails(at string, words ...string) string {
	c.t.Helper()
	out, stderr, code := run(c.t, append(words, "--state-dir", c.at[at].state)...)
	if code == 0 {
		c.t.Errorf("%v succeeds: %s", words, out)
	}
	return stderr
}

// TestClients: an aware client and one of NFS are listed at every gateway as what they are. The aware one goes where an operator sends it; of
// the other one the operator is told what can be done.
func TestClients(t *testing.T) {
	c, _, at := awareCluster(t)
	u, v := awareVolume(t, library.Config{}, at("g1"))
	n := c.client("g2", "home")
	n.write("of nfs", "text")
	if err := awareRound(v, "of aware", "text"); err != nil {
		t.Fatal(err)
	}
	var aware, normal []member.Client
	c.until("both clients are listed", func() bool {
		aware, normal = c.clientsOf("g3", member.AwareClient), c.clientsOf("g3", member.NormalClient)
		return len(aware) == 1 && len(normal) == 1 && len(u.Paths("home")) == 3
	})
	if a := aware[0]; a.Gateway != "g1" || a.Protocol != "causeway" || a.Volume != "home" || a.Calls == 0 || a.Since.IsZero() {
		t.Errorf("%+v", a)
	}
	if a := normal[0]; a.Gateway != "g2" || a.Protocol != "nfs" || a.Volume != "home" || a.Bytes == 0 || !slices.Contains(a.At, c.addr["g2"]) {
		t.Errorf("%+v", a)
	}
	if out, stderr, code := run(t, "clients", "--state-dir", c.at["g1"].state); code != 0 || !strings.Contains(out, "aware") || !strings.Contains(out, "nfs") {
		t.Error(out, stderr)
	}

	here := func() string { return u.Paths("home")[0].Gateway }
	if here() != at("g1") {
		t.Fatalf("it is at %s", here())
	}
	var done []member.Redirected
	c.ask("g2", &done, "redirect", aware[0].Client+":home", "--to", "g3")
	if len(done) != 1 || !done[0].Told || done[0].From != "g1" || done[0].To != "g3" {
		t.Errorf("%+v", done)
	}
	c.until("the client has gone", func() bool { return here() == at("g3") })
	if err := awareRound(v, "after", "text"); err != nil {
		t.Error(err)
	}
	c.until("it is listed there", func() bool {
		list := c.clientsOf("g2", member.AwareClient)
		return slices.ContainsFunc(list, func(x member.Client) bool { return x.Gateway == "g3" })
	})
	c.until("it goes anywhere else", func() bool {
		c.ask("g1", &done, "redirect", aware[0].Client)
		return slices.ContainsFunc(done, func(r member.Redirected) bool { return r.Told && r.From == "g3" && r.To != "g3" })
	})
	c.until("it has gone", func() bool { return here() != at("g3") })

	c.ask("g1", &done, "redirect", normal[0].Client+":home", "--to", "g3")
	i := slices.IndexFunc(done, func(r member.Redirected) bool { return r.Protocol == "nfs" })
	if i < 0 || done[i].Told || !strings.Contains(done[i].Why, "causeway address move 127.0.0.2 --to g3") {
		t.Errorf("%+v", done)
	}
	c.fails("g1", "redirect", "10.1.2.3")
	c.fails("g1", "redirect", normal[0].Client, "--to", "g9")
	c.fails("g1", "redirect", normal[0].Client+":nowhere")
}

// TestRedirectRefused: nobody is sent to a gateway that drains, does not reach the volume, cannot be found or does not run, and the operator is told why.
func TestRedirectRefused(t *testing.T) {
	c, _, at := awareCluster(t)
	u, v := awareVolume(t, library.Config{}, at("g1"))
	var client string
	listed := func() {
		t.Helper()
		c.until("the client is listed", func() bool {
			if err := awareRound(v, "file", "text"); err != nil {
				t.Fatal(err)
			}
			list := c.clientsOf("g2", member.AwareClient)
			if len(list) > 0 {
				client = list[0].Client
			}
			return len(list) > 0 && len(u.Paths("home")) == 3
		})
	}
	listed()
	refused := func(what, why string, words ...string) {
		t.Helper()
		if text := c.fails("g2", append([]string{"redirect", what}, words...)...); !strings.Contains(text, why) {
			t.Errorf("it says %q, not %q", text, why)
		}
	}
	c.ask("g1", &struct{}{}, "node", "drain", "g3")
	refused(client, "node g3 drains", "--to", "g3")
	refused("127.0.0.1:home", "node g3 drains", "--to", "g3")
	c.ask("g1", &struct{}{}, "node", "set", "g3", "--active")
	for _, name := range []string{"g1", "g2"} {
		c.ask("g1", &struct{}{}, "node", "set", name, "--domains", "here")
	}
	c.ask("g1", &struct{}{}, "volume", "set", "home", "--domain", "here")
	refused(client+":home", "node g3 does not reach the storage of volume home", "--to", "g3")
	var done []member.Redirected
	if c.ask("g2", &done, "redirect", client, "--to", "g3"); len(done) != 1 || done[0].Told || !strings.Contains(done[0].Why, "does not reach") {
		t.Errorf("%+v", done)
	}
	c.ask("g1", &struct{}{}, "volume", "set", "home", "--domain", "all")
	c.ask("g1", &struct{}{}, "address", "move", c.addr["g3"].String(), "--to", "g2")
	refused(client, "node g3 answers at no service address", "--to", "g3")
	for range 5 {
		listed()
		c.ask("g2", &done, "redirect", client)
		if i := slices.IndexFunc(done, func(r member.Redirected) bool { return r.To == "g3" }); i >= 0 {
			t.Errorf("it is sent where it finds nobody: %+v", done[i])
		}
	}
	c.at["g3"].process.Process.Kill()
	c.until("g3 is known to be dead", func() bool {
		return strings.Contains(c.fails("g1", "redirect", client, "--to", "g3"), "node g3 does not run")
	})
	c.fails("g1", "address", "move", c.addr["g1"].String(), "--to", "g3")
	if err := awareRound(v, "file", "text"); err != nil {
		t.Error(err)
	}
}

// TestAddressMoveOrder: an address goes to another gateway and stays there while that runs; it comes back when it is told to.
func TestAddressMoveOrder(t *testing.T) {
	c, dir := prepareCluster(t), share(t, "home")
	c.startAll()
	if out, stderr, code := run(t, "volume", "create", "home", "--backend", "posix:"+dir, "--state-dir", c.at["g2"].state); code != 0 {
		t.Fatal(out, stderr)
	}
	n := c.client("g1", "home")
	n.write("before", "text")
	move := member.AddressMove{}
	c.ask("g3", &move, "address", "move", c.addr["g1"].String(), "--to", "g2")
	if move.From != "g1" || move.To != "g2" {
		t.Errorf("%+v", move)
	}
	t.Logf("another gateway answers after %.0f ms", move.Took*1000)
	n.write("after", "text")
	if got := n.read("before"); got != "text" {
		t.Errorf("it reads %q", got)
	}
	i := slices.IndexFunc(c.status("g1").Addresses, func(a member.Address) bool { return a.Address == c.addr["g1"] })
	if a := c.status("g1").Addresses[i]; a.At != "g2" || a.Home != "g1" || !a.Moved {
		t.Errorf("%+v", a)
	}
	if out, _, _ := run(t, "address", "ls", "--state-dir", c.at["g1"].state); !strings.Contains(out, "at g2, by causeway address move") {
		t.Error(out)
	}
	c.fails("g1", "address", "move", "127.0.0.77", "--to", "g2")
	c.fails("g1", "address", "move", c.addr["g1"].String(), "--to", "g9")
	if out, stderr, code := run(t, "node", "drain", "g3", "--state-dir", c.at["g1"].state); code != 0 {
		t.Fatal(out, stderr)
	}
	c.fails("g1", "address", "move", c.addr["g1"].String(), "--to", "g3")
	c.ask("g2", &move, "address", "move", c.addr["g1"].String(), "--to", "g1")
	if move.From != "g2" || move.To != "g1" {
		t.Errorf("%+v", move)
	}
	n.write("back", "text")
}

// TestRedirectSettings: what an operator sets is seen everywhere, and what makes no sense is refused.
func TestRedirectSettings(t *testing.T) {
	c := prepareCluster(t)
	c.startAll()
	if got := c.status("g1").Settings.Redirect; len(got.Ways) != 7 || got.Budget != 32 || got.Hold != 1 {
		t.Errorf("%+v", got)
	}
	var s member.Settings
	c.ask("g1", &s, "cluster", "set", "--redirect-ways", "path,mirror", "--redirect-average", "--redirect-margin", "7.5", "--redirect-stay", "90s", "--redirect-hold", "3")
	for _, name := range []string{"g2", "g3"} {
		got := c.status(name).Settings.Redirect
		if strings.Join(got.Ways, " ") != "path mirror" || !got.Average || got.Margin != 7.5 || got.Stay != 90 || got.Hold != 3 || got.Budget != 32 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := c.status("g1").Settings.Redirect; got.Addresses {
		t.Errorf("addresses move unasked: %+v", got)
	}
	c.ask("g2", &s, "cluster", "set", "--redirect-addresses")
	if out, _, _ := run(t, "status", "--state-dir", c.at["g3"].state); !s.Redirect.Addresses || !strings.Contains(out, "service addresses of NFS clients move away") {
		t.Error(out)
	}
	c.ask("g1", &s, "cluster", "set", "--redirect-addresses=false")
	if s.Redirect.Addresses || !s.Redirect.Average {
		t.Errorf("%+v", s.Redirect)
	}
	c.ask("g2", &s, "cluster", "set", "--redirect-ways", "off")
	if len(s.Redirect.Ways) != 0 || !s.Redirect.Average {
		t.Errorf("%+v", s.Redirect)
	}
	c.ask("g2", &s, "cluster", "set", "--redirect-ways", "all", "--redirect-average=false")
	if len(s.Redirect.Ways) != 7 || s.Redirect.Average {
		t.Errorf("%+v", s.Redirect)
	}
	for _, words := range [][]string{{"--redirect-ways", "by-magic"}, {"--redirect-margin", "101"}, {"--redirect-budget", "-1"}, {"--redirect-stay", "-1s"}} {
		c.fails("g1", append([]string{"cluster", "set"}, words...)...)
	}
	if out, _, _ := run(t, "status", "--state-dir", c.at["g3"].state); !strings.Contains(out, "clients are sent elsewhere by path, no-path, table, poll, own, mirror, fail-over") {
		t.Error(out)
	}
}

// TestMirrors: only what can be a mirror becomes one.
func TestMirrors(t *testing.T) {
	c := prepareCluster(t)
	c.startAll()
	for _, name := range []string{"a", "b", "x"} {
		if out, stderr, code := run(t, "volume", "create", name, "--backend", "posix:"+share(t, name), "--state-dir", c.at["g1"].state); code != 0 {
			t.Fatal(out, stderr)
		}
	}
	var v member.Volume
	for _, words := range [][]string{{"b", "--mirror-of", "a"}, {"b", "--mirror-of", "nowhere", "--read-only"}, {"b", "--mirror-of", "b", "--read-only"}} {
		c.fails("g1", append([]string{"volume", "set"}, words...)...)
	}
	c.ask("g2", &v, "volume", "set", "b", "--mirror-of", "a", "--read-only")
	if v.MirrorOf != "a" || !v.ReadOnly {
		t.Errorf("%+v", v)
	}
	for _, words := range [][]string{{"set", "b", "--read-only=false"}, {"set", "x", "--mirror-of", "b", "--read-only"}, {"set", "a", "--mirror-of", "x", "--read-only"}, {"rm", "a"}} {
		c.fails("g1", append([]string{"volume"}, words...)...)
	}
	c.ask("g3", &v, "volume", "set", "b", "--mirror-of", "", "--read-only=false")
	if v.MirrorOf != "" || v.ReadOnly {
		t.Errorf("%+v", v)
	}
	if out, stderr, code := run(t, "volume", "rm", "a", "--state-dir", c.at["g1"].state); code != 0 {
		t.Error(out, stderr)
	}
}

func TestParseRedirect(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.7": "10.0.0.7 ", "10.0.0.7:home": "10.0.0.7 home", "10.0.0.7/3fa9:home": "10.0.0.7/3fa9 home", "10.0.0.7/3fa9": "10.0.0.7/3fa9 ",
		"fd00::1": "fd00::1 ", "[fd00::1]:/home": "fd00::1 home", "fd00::1/3fa9:home": "fd00::1/3fa9 home", "[fd00::1]": "fd00::1 ",
	} {
		if in, err := parseRedirect(text); err != nil || in.Client+" "+in.Volume != want {
			t.Errorf("%s: %+v, %v", text, in, err)
		}
	}
	for _, text := range []string{"", "host:home", "10.0.0.7:", "/3fa9:home"} {
		if in, err := parseRedirect(text); err == nil {
			t.Errorf("%q is taken as %+v", text, in)
		}
	}
}

// TestClientsAlone: a gateway without a cluster lists its clients too.
func TestClientsAlone(t *testing.T) {
	dir, port := share(t, "home"), testport.At(t, "127.0.0.1")
	r := startServe(t, t.TempDir(), nil, "home="+dir, "--listen", "127.0.0.1:0", "--admin", "off", "--aware", fmt.Sprint(port), "--allow", "127.0.0.1/32=rw")
	_, v := awareVolume(t, library.Config{}, fmt.Sprint("127.0.0.1:", port))
	if err := v.WriteFile(context.Background(), "file", []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, stderr, code := run(t, "clients", "--state-dir", r.state)
	if code != 0 || !strings.Contains(out, "aware") || !strings.Contains(out, "home") {
		t.Error(out, stderr)
	}
}

// TestWayNames: ways are set by the names by which they are shown.
func TestWayNames(t *testing.T) {
	if w, err := redirect.ParseWays(strings.Split(redirect.AllWays.String(), ",")); err != nil || w != redirect.AllWays {
		t.Error(w, err)
	}
}

// TestWaysOfClients: a way that the operator switches off is off at the clients too, whatever they would do by themselves.
func TestWaysOfClients(t *testing.T) {
	c, _, at := awareCluster(t)
	u, v := awareVolume(t, library.Config{Ways: redirect.AllWays}, at("g1"))
	if err := awareRound(v, "file", "text"); err != nil {
		t.Fatal(err)
	}
	c.until("the client knows all gateways", func() bool { return len(u.Paths("home")) == 3 })
	if u.Ways() != redirect.AllWays {
		t.Errorf("it goes by %v", u.Ways())
	}
	var s member.Settings
	c.ask("g2", &s, "cluster", "set", "--redirect-ways", "mirror,fail-over")
	c.until("the client knows", func() bool { return u.Ways() == redirect.WayMirror|redirect.WayFailOver })
	client := c.clientsOf("g3", member.AwareClient)[0].Client
	var done []member.Redirected
	c.ask("g3", &done, "redirect", client, "--to", "g2")
	if len(done) != 1 || done[0].Told || !strings.Contains(done[0].Why, "off") {
		t.Errorf("%+v", done)
	}
	c.ask("g2", &s, "cluster", "set", "--redirect-ways", "all")
	c.until("the client knows", func() bool { return u.Ways() == redirect.AllWays })
	if here := u.Paths("home")[0].Gateway; here != at("g1") {
		t.Errorf("it has gone to %s by a way that was off", here)
	}
}

// TestWeightAuto: of two volumes whose weights follow their demand, the one that is used becomes heavier, until an operator sets a figure.
func TestWeightAuto(t *testing.T) {
	c := prepareCluster(t)
	c.startAll()
	var v member.Volume
	for _, name := range []string{"used", "idle"} {
		c.ask("g1", &v, "volume", "create", name, "--backend", "posix:"+share(t, name), "--weight", "auto")
		if v.Weight != 1 || !v.AutoWeight {
			t.Errorf("%+v", v)
		}
	}
	for _, name := range []string{"g1", "g2", "g3"} {
		if out, stderr, code := run(t, "node", "set", name, "--update-interval", "1s", "--weight", "auto", "--state-dir", c.at["g1"].state); code != 0 {
			t.Fatal(out, stderr)
		}
	}
	n := c.client("g2", "used")
	weight := func(name string) uint64 {
		for _, v := range c.status("g3").Volumes {
			if v.Name == name {
				return v.Weight
			}
		}
		return 0
	}
	took := c.until("the volume that is used weighs more", func() bool {
		for i := range 200 {
			n.write(fmt.Sprint("file", i%10), "text")
		}
		return weight("used") > 2
	})
	if weight("idle") != 1 {
		t.Errorf("the idle volume weighs %d", weight("idle"))
	}
	t.Logf("after %v it weighs %d", took, weight("used"))
	c.ask("g2", &v, "volume", "set", "used", "--weight", "7")
	if v.Weight != 7 || v.AutoWeight {
		t.Errorf("%+v", v)
	}
	c.fails("g1", "volume", "set", "used", "--weight", "heavy")
	if out, _, _ := run(t, "volume", "ls", "--state-dir", c.at["g1"].state); !strings.Contains(out, "(auto)") {
		t.Error(out)
	}
}

// TestWorking: a client that was told to go, and whose last calls end only now, is not counted where it was.
func TestWorking(t *testing.T) {
	now := time.Now()
	one := func(name string, calls uint64, since time.Duration) member.Client {
		return member.Client{Client: name, Kind: member.AwareClient, Protocol: "causeway", Volume: "v", Calls: calls, Since: now.Add(-since)}
	}
	list := []member.Client{one("works", 7, time.Minute), one("idle", 5, time.Minute), one("new", 0, 0), one("deaf", 9, time.Minute), one("leaves", 2, 0), one("came back", 3, time.Minute),
		{Client: "normal", Kind: member.NormalClient, Protocol: "nfs", Volume: "v", Calls: 3}}
	watches := map[string]bool{"works": true, "idle": true, "new": true, "leaves": true, "came back": true}
	moved := map[string]time.Time{"leaves": now.Add(-time.Second), "came back": now.Add(-time.Hour)}
	n, calls := working(list, watches, map[demand.Name]uint64{nameOf(&list[1]): 5, nameOf(&list[0]): 6}, moved, now)
	if n != 3 || calls[nameOf(&list[0])] != 7 {
		t.Errorf("%d work: works, new and came back do; %v", n, calls)
	}
}

// TestAddressMovesAtOnce: of orders that give one address to different gateways at the same time the last one counts, and one gateway answers.
func TestAddressMovesAtOnce(t *testing.T) {
	c, dir := prepareCluster(t), share(t, "home")
	c.startAll()
	if out, stderr, code := run(t, "volume", "create", "home", "--backend", "posix:"+dir, "--state-dir", c.at["g2"].state); code != 0 {
		t.Fatal(out, stderr)
	}
	n := c.client("g1", "home")
	var orders sync.WaitGroup
	for i, to := range []string{"g1", "g2", "g3", "g2", "g3", "g1", "g3", "g2"} {
		from := fmt.Sprint("g", 1+i%3)
		orders.Go(func() { run(t, "address", "move", c.addr["g1"].String(), "--to", to, "--state-dir", c.at[from].state) }) // some find that another one was later
	}
	for i := range 10 {
		n.write(fmt.Sprint("meanwhile", i), "text")
	}
	orders.Wait()
	n.write("after", "text")
	at := map[string]bool{}
	for _, node := range []string{"g1", "g2", "g3"} {
		for _, a := range c.status(node).Addresses {
			if a.Address == c.addr["g1"] {
				at[a.At] = true
			}
		}
	}
	if len(at) != 1 || at[""] {
		t.Errorf("it is at %v", at)
	}
	for i := range 10 {
		if got := n.read(fmt.Sprint("meanwhile", i)); got != "text" {
			t.Errorf("it reads %q", got)
		}
	}
	move := member.AddressMove{}
	c.ask("g2", &move, "address", "move", c.addr["g1"].String(), "--to", "g1")
	n.write("back", "text")
}
