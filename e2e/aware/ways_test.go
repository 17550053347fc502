//go:build linux

package aware

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/client"
	"causeway/e2e/harness"
	"causeway/redirect"
)

// busy is what a reader reads, and its pause: about a fifth of what a gateway believes that its network carries.
const (
	busySize  = 32 << 10
	busyPause = 50 * time.Millisecond
)

// crowd adds a client to a gateway that obeys nobody. Without another one a gateway would send nobody away: it would only be busy elsewhere.
func (s *stage) crowd(i int) *user {
	u := s.dial(redirect.WayFailOver, "home", s.at(i))
	u.work(fmt.Sprint("crowd", i), busySize, busyPause)
	return u
}

// TestPassiveWithPath: a gateway above its threshold names the gateway to go to, and the client goes there without an error.
func TestPassiveWithPath(t *testing.T) {
	s := setStage(t, 3, "home")
	u := s.dial(redirect.WayPath|redirect.WayFailOver, "home", s.at(0))
	u.work("file", busySize, busyPause)
	s.crowd(0)
	u.well()
	if here := u.here("home"); here != s.at(0) {
		t.Fatalf("it begins at %s", here)
	}
	s.Members[0].Command("node", "set", "g1", "--threshold", "10")
	to := u.moves("home", s.at(0))
	if !strings.Contains(s.Members[0].Log(), "a client is sent elsewhere") {
		t.Error("the gateway did not send it")
	}
	t.Logf("it went to %s", to)
}

// TestPassiveWithoutPath: the client obeys no names; of the gateways that it may go to it takes the one to which it was sent the longest time
// ago.
func TestPassiveWithoutPath(t *testing.T) {
	s := setStage(t, 3, "home")
	u := s.dial(redirect.WayNoPath|redirect.WayFailOver, "home", s.at(0), s.at(1), s.at(2))
	u.work("file", busySize, busyPause)
	for i, m := range s.Members {
		if here := u.here("home"); here != s.at(i) {
			t.Fatalf("visit %d is to %s", i, here)
		}
		other := s.crowd(i)
		m.Command("node", "set", m.Name, "--threshold", "10")
		u.moves("home", s.at(i))
		m.Command("node", "set", m.Name, "--threshold", "0")
		other.stop()
	}
	if here := u.here("home"); here != s.at(0) {
		t.Errorf("after all of them it is at %s, not where it was the longest time ago", here)
	}
}

// TestNoPathByTheOperator: the operator lets gateways name no other one. A client that would obey names goes all the same, where it was sent the
// longest time ago.
func TestNoPathByTheOperator(t *testing.T) {
	s := setStage(t, 3, "home")
	s.Members[0].Command("cluster", "set", "--redirect-ways", "no-path")
	u := s.dial(redirect.WayPath|redirect.WayNoPath|redirect.WayFailOver, "home", s.at(0), s.at(2), s.at(1))
	u.work("file", busySize, busyPause)
	s.crowd(0)
	u.well()
	s.Members[0].Command("node", "set", "g1", "--threshold", "10")
	if to := u.moves("home", s.at(0)); to != s.at(2) {
		t.Errorf("it went to %s, which is not the oldest of its other paths", to)
	}
	if log := s.Members[0].Log(); !strings.Contains(log, "a client is sent elsewhere") || !strings.Contains(log, `node="" mirror="" told=true`) {
		t.Error("the gateway named another one, or did not send it")
	}
}

// TestActiveByTable: no gateway sends anybody; the client reads how busy all are and goes to one that is less so.
func TestActiveByTable(t *testing.T) { active(t, redirect.WayTable) }

// TestActiveByPolling: the client asks the gateways themselves.
func TestActiveByPolling(t *testing.T) { active(t, redirect.WayPoll) }

func active(t *testing.T, way redirect.Ways) {
	s := setStage(t, 2, "home")
	u := s.dial(way|redirect.WayFailOver, "home", s.at(0))
	u.work("file", 4*busySize, busyPause)
	if to := u.moves("home", s.at(0)); to != s.at(1) {
		t.Errorf("it went to %s", to)
	}
	if strings.Contains(s.Members[0].Log(), "a client is sent elsewhere") {
		t.Error("the gateway sent it")
	}
}

// TestOwnDecision: the line to a gateway becomes slow, which no record shows. The client feels it and leaves. A read then takes longer than any on a
// machine that is merely busy.
func TestOwnDecision(t *testing.T) {
	s := setStage(t, 2, "home")
	u := s.dial(redirect.WayOwn|redirect.WayFailOver, "home", s.at(0))
	u.work("file", 64<<10, time.Millisecond)
	s.Await("the client knows what is normal", func() bool { return u.done.Load() > 200 })
	here := u.here("home") // a busy machine may have been slow enough before
	i := slices.IndexFunc([]int{0, 1}, func(i int) bool { return s.at(i) == here })
	s.Members[i].Host.MustRun("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "2mbit", "burst", "2kb", "latency", "400ms")
	if to := u.moves("home", here); to != s.at(1-i) {
		t.Errorf("it went to %s", to)
	}
}

// TestFailOver: a gateway dies and the client goes on by its oldest path. The failed path is marked and probed, and taken back in when the
// gateway is back, so that the client can go there when the next one dies.
func TestFailOver(t *testing.T) {
	s := setStage(t, 3, "home")
	u := s.dial(redirect.WayFailOver, "home", s.at(0), s.at(1), s.at(2))
	u.work("file", 4<<10, time.Millisecond)
	u.well()
	path := func(at string) redirect.Path {
		for _, p := range u.Paths("home") {
			if p.Gateway == at {
				return p
			}
		}
		return redirect.Path{State: redirect.Failed}
	}
	state := func(at string) redirect.PathState { return path(at).State }
	kill := func(i, next int) (to int) {
		begun := time.Now()
		s.network.Test().IP(fmt.Sprintf("route add blackhole 10.99.0.%d/32", 201+i)) // whoever takes the dead gateway's address is not heard of
		s.Members[i].KillAll()
		at := u.moves("home", s.at(i))
		if at != s.at(next) && path(s.at(next)).Since.Before(begun) { // one that was silent on a busy machine has no valid path either
			t.Errorf("it went to %s, and not by its oldest valid path", at)
		}
		return slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return s.at(i) == at })
	}
	second := kill(0, 1)
	if state(s.at(0)) != redirect.Failed {
		t.Error("the failed path is not marked")
	}
	s.Members[0].Start()
	s.AwaitRest(1)
	if state(s.at(0)) != redirect.Failed {
		t.Error("a path that cannot be probed is taken back")
	}
	s.network.Test().IP("route del blackhole 10.99.0.201/32")
	s.Await("the path is taken back", func() bool { return state(s.at(0)) == redirect.Valid })
	if here := u.here("home"); here != s.at(second) {
		t.Errorf("that moved the client to %s", here)
	}
	kill(second, 0)
}

// TestMirror: the volume's only gateway is too busy, and one that reaches a volume that offers the same is not. The client, which only reads, is
// sent there, with the file that it has open; when it writes, it is back. Another one is back when there is no mirror any more.
func TestMirror(t *testing.T) {
	s := setStage(t, 2, "home", "copy")
	const text = "the same in both"
	for _, dir := range s.dirs {
		if err := os.WriteFile(filepath.Join(dir, "text"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := s.Members[0]
	g.Command("node", "set", "g1", "--domains", "here")
	g.Command("node", "set", "g2", "--domains", "there")
	g.Command("volume", "set", "home", "--domain", "here")
	g.Command("volume", "set", "copy", "--domain", "there", "--mirror-of", "home", "--read-only")
	s.AwaitRest(2)
	u := s.dial(redirect.WayMirror|redirect.WayFailOver, "home", s.at(0))
	other := s.dial(redirect.WayMirror|redirect.WayFailOver, "home", s.at(0))
	file, err := u.v.Open(t.Context(), "text")
	if err != nil {
		t.Fatal(err)
	}
	read := func() {
		t.Helper()
		got, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<10))
		if err != nil || string(got) != text {
			t.Fatalf("%q, %v", got, err)
		}
		got, err = u.v.ReadFile(t.Context(), "text")
		if err != nil || string(got) != text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	s.crowd(0)
	g.Command("node", "set", "g1", "--threshold", "10")
	s.Await("the client reads the mirror", func() bool { read(); return u.v.Mirror() == "copy" })
	s.Await("another one does", func() bool {
		_, err := other.v.ReadFile(t.Context(), "text")
		return err == nil && other.v.Mirror() == "copy"
	})
	if err := os.WriteFile(filepath.Join(s.dirs["home"], "text"), []byte("overwritten here"), 0o644); err != nil {
		t.Fatal(err)
	}
	read() // from the mirror, whose text is the old one
	s.Await("it reads the mirror at the gateway that has it", func() bool { read(); return u.here("copy") == s.at(1) })
	if err := u.v.WriteFile(t.Context(), "new", []byte("x"), 0o644); err != nil || u.v.Mirror() != "home" {
		t.Errorf("when it has written it reads %s, %v", u.v.Mirror(), err)
	}
	g.Command("volume", "set", "copy", "--mirror-of", "")
	s.Await("the other client is told that there is no mirror any more", func() bool { return other.v.Mirror() == "home" })
	if got, err := other.v.ReadFile(t.Context(), "text"); err != nil || string(got) != "overwritten here" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestServiceRecords: a client that knows only the cluster's name finds the gateways by SRV records, as the gateways themselves answer, those of
// its site first.
func TestServiceRecords(t *testing.T) {
	const zone = "nas.example.com"
	var dns netip.AddrPort
	s := setStageOn(t, 3, harness.ClusterConfig{
		Flags: []string{"--zone", zone},
		Host: func(i int, host *harness.Host) []string {
			dns = netip.AddrPortFrom(host.Address, 53)
			return []string{"--dns", host.Address.String()}
		},
	}, "home")
	g := s.Members[0]
	g.Command("site", "set", "paris", "10.99.0.1/32") // where the clients are
	g.Command("node", "set", "g2", "--domains", "paris")
	g.Command("node", "set", "g1", "--domains", "elsewhere")
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return s.network.Test().Dial(ctx, network, dns.String())
	}}
	for _, name := range []string{zone, "home." + zone} {
		var u *client.Client
		var v *client.Volume
		s.Await("a client that knows "+name, func() bool {
			c, err := client.Dial(t.Context(), client.Config{Dial: s.network.Test().Dial, Resolver: resolver}, name)
			if err != nil {
				return false
			}
			if v, err = c.Volume(t.Context(), "home"); err != nil {
				c.Close()
				return false
			}
			u = c
			return true
		})
		if err := v.WriteFile(t.Context(), "file", []byte("text"), 0o644); err != nil {
			t.Error(err)
		}
		u.Close()
	}
	first := 0
	s.Await("the client's own site comes first, time after time", func() bool {
		_, list, err := resolver.LookupSRV(t.Context(), "causeway", "tcp", zone)
		if err != nil || len(list) != 3 || list[0].Target != "g2.gateways."+zone+"." || list[0].Priority >= list[1].Priority {
			first = 0
			return false
		}
		first++
		return first == 5
	})
	c, err := client.Dial(t.Context(), client.Config{Dial: s.network.Test().Dial, Resolver: resolver}, zone)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Volume(t.Context(), "home"); err != nil || c.Paths("home")[0].Gateway != s.at(1) {
		t.Errorf("it begins at %s, %v", c.Paths("home")[0].Gateway, err)
	}
}
