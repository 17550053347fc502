//go:build linux

package aware

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
	s := setStage(t, 3, nil, "home")
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
	s := setStage(t, 3, nil, "home")
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

// TestActiveByTable: no gateway sends anybody; the client reads how busy all are and goes to one that is less so.
func TestActiveByTable(t *testing.T) { active(t, redirect.WayTable) }

// TestActiveByPolling: the client asks the gateways themselves.
func TestActiveByPolling(t *testing.T) { active(t, redirect.WayPoll) }

func active(t *testing.T, way redirect.Ways) {
	s := setStage(t, 2, nil, "home")
	u := s.dial(way|redirect.WayFailOver, "home", s.at(0))
	u.work("file", 4*busySize, busyPause)
	if to := u.moves("home", s.at(0)); to != s.at(1) {
		t.Errorf("it went to %s", to)
	}
	if strings.Contains(s.Members[0].Log(), "a client is sent elsewhere") {
		t.Error("the gateway sent it")
	}
}

// TestOwnDecision: the line to a gateway becomes slow, which no record shows. The client feels it and leaves.
func TestOwnDecision(t *testing.T) {
	s := setStage(t, 2, nil, "home")
	u := s.dial(redirect.WayOwn|redirect.WayFailOver, "home", s.at(0))
	u.work("file", 8<<10, time.Millisecond)
	s.Await("the client knows what is normal", func() bool { return u.done.Load() > 200 })
	if here := u.here("home"); here != s.at(0) {
		t.Skipf("this machine is so uneven that the client has left before")
	}
	s.Members[0].Host.MustRun("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "2mbit", "burst", "2kb", "latency", "400ms")
	if to := u.moves("home", s.at(0)); to != s.at(1) {
		t.Errorf("it went to %s", to)
	}
}

// TestFailOver: a gateway dies and the client goes on by its oldest path. The failed path is marked and probed, and taken back in when the
// gateway is back, so that the client can go there when the next one dies.
func TestFailOver(t *testing.T) {
	s := setStage(t, 3, nil, "home")
	u := s.dial(redirect.WayFailOver, "home", s.at(0), s.at(1), s.at(2))
	u.work("file", 4<<10, time.Millisecond)
	u.well()
	state := func(at string) redirect.PathState {
		for _, p := range u.Paths("home") {
			if p.Gateway == at {
				return p.State
			}
		}
		return redirect.Failed
	}
	s.network.Test().IP("route add blackhole 10.99.0.201/32") // whoever takes the dead gateway's address is not heard of
	s.Members[0].KillAll()
	if to := u.moves("home", s.at(0)); to != s.at(1) {
		t.Errorf("it went to %s, and not by its oldest path", to)
	}
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
	if here := u.here("home"); here != s.at(1) {
		t.Errorf("that moved the client to %s", here)
	}
	s.network.Test().IP("route add blackhole 10.99.0.202/32")
	s.Members[1].KillAll()
	if to := u.moves("home", s.at(1)); to != s.at(0) {
		t.Errorf("the second time it went to %s", to)
	}
}
