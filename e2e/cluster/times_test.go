//go:build linux

package cluster

import (
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness"
)

// event ends a gateway in one way.
type event struct {
	name  string
	bound time.Duration
	end   func(s *stage, victim *harness.Member)
	again func(s *stage, victim *harness.Member)
}

var events = []event{
	{"a crash", time.Second, func(_ *stage, victim *harness.Member) { victim.Kill() },
		func(_ *stage, victim *harness.Member) { victim.Start() }},
	{"the loss of a machine", 3500 * time.Millisecond, func(s *stage, victim *harness.Member) { s.Unplug(victim) },
		func(s *stage, victim *harness.Member) { victim.KillAll(); s.Plug(victim); victim.Start() }},
	{"an orderly stop", 500 * time.Millisecond, func(_ *stage, victim *harness.Member) { victim.Signal(syscall.SIGTERM) },
		func(s *stage, victim *harness.Member) { <-victim.Ended(); victim.Start() }},
}

// TestTimes measures how long volumes are not answered when their gateway ends, at the other gateways and at the address of the
// one that ended, and that volumes of other gateways do not notice.
func TestTimes(t *testing.T) {
	s := setStage(t, 6, harness.ClusterConfig{})
	probes := s.probes()
	s.calm(probes)
	for _, e := range events {
		moved, leader := &figures{name: e.name + ": its volumes, at other gateways", bound: e.bound}, &figures{name: e.name + ": of these, the database's leader with it"}
		address := &figures{name: e.name + ": all volumes, at its address"}
		rest := &figures{name: e.name + ": others' volumes, at other gateways, longest silence"}
		for n := range choose(1, 24) {
			victim := s.owner(s.volumes[n%len(s.volumes)]) // one that came back a moment ago has none yet
			led := s.Leader() == victim
			mine := s.owned(victim)
			time.Sleep(200 * time.Millisecond)
			begun := time.Now()
			e.end(s, victim)
			s.settled(probes, victim)
			for _, p := range probes {
				worst := p.silence(begun)
				switch {
				case p.via == victim:
					address.add(worst.to.Sub(begun))
				case !mine[p.volume]:
					rest.add(worst.length())
				default:
					moved.add(worst.to.Sub(begun))
					if led {
						leader.add(worst.to.Sub(begun))
					}
				}
			}
			e.again(s, victim)
			s.calm(probes)
		}
		moved.report(t)
		if len(leader.all) > 0 {
			leader.report(t)
		}
		rest.report(t)
		address.report(t)
	}
	s.planned(probes)
}

// owned returns the volumes of a gateway.
func (s *stage) owned(m *harness.Member) map[string]bool {
	mine := make(map[string]bool)
	for _, v := range s.Seen().Volumes {
		if v.Owner == m.Name {
			mine[v.Name] = true
		}
	}
	if len(mine) == 0 {
		s.t.Fatalf("%s owns nothing", m.Name)
	}
	return mine
}

// settled waits until others serve all volumes of a gateway that has ended, and every probe is answered again.
func (s *stage) settled(probes []*probe, victim *harness.Member) {
	s.t.Helper()
	s.Await("others serve", func() bool {
		for _, m := range s.Members {
			if m == victim {
				continue
			}
			st, err := m.Status()
			if err != nil {
				return false
			}
			for _, v := range st.Volumes {
				if !v.Serving || v.Owner == victim.Name {
					return false
				}
			}
		}
		return true
	})
	s.answered(probes)
}

// calm waits until the cluster is at rest, and all clients too: a service address comes home after that.
func (s *stage) calm(probes []*probe) {
	s.t.Helper()
	s.AwaitRest(len(s.volumes))
	time.Sleep(time.Second)
	quiet := time.Second // where nothing is measured, a machine that has other work is calm too
	if harness.Long() {
		quiet = 150 * time.Millisecond
	}
	s.Await("nobody waits any more", func() bool {
		ago := time.Now().Add(-time.Second) // an address comes home some time after the gateway
		for _, p := range probes {
			at := p.since(ago)
			if p.silence(ago).length() > quiet || time.Since(at[len(at)-1]) > quiet {
				return false
			}
		}
		return true
	})
}

// answered waits until every probe is answered again.
func (s *stage) answered(probes []*probe) {
	s.t.Helper()
	now := time.Now()
	s.Await("all are answered again", func() bool {
		for _, p := range probes {
			if len(p.since(now)) < 20 {
				return false
			}
		}
		return true
	})
}

// planned moves volumes by order.
func (s *stage) planned(probes []*probe) {
	moved := &figures{name: "a planned move: the volume", bound: 250 * time.Millisecond}
	rest := &figures{name: "a planned move: other volumes, longest silence"}
	for i := range choose(3, 30) {
		volume := s.volumes[i%len(s.volumes)]
		from := s.owner(volume)
		to := s.Members[0]
		for k, m := range s.Members {
			if m == from {
				to = s.Members[(k+1+i%2)%3]
			}
		}
		time.Sleep(100 * time.Millisecond)
		begun := time.Now()
		if err := s.Members[i%3].Order("/cluster/volume/set", map[string]any{"name": volume, "preferred": to.Name}, nil); err != nil {
			s.t.Fatal(err)
		}
		s.Await("it has moved", func() bool { return s.owner(volume) == to })
		s.calm(probes)
		for _, p := range probes {
			if length := p.silence(begun).length(); p.volume == volume {
				moved.add(length)
			} else {
				rest.add(length)
			}
		}
	}
	moved.report(s.t)
	rest.report(s.t)
}
