//go:build linux

package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness"
)

// fault is something that happens to a gateway, and ends.
type fault struct {
	name string
	do   func(s *stage, victim, other *harness.Member)
}

// longer is longer than a lease, and than what is added to it.
const longer = 3500 * time.Millisecond

var faults = []fault{
	{"crash", func(s *stage, victim, _ *harness.Member) {
		s.crash(victim)
		time.Sleep(time.Duration(rand.IntN(800)) * time.Millisecond)
		victim.Start()
	}},
	{"power failure", func(s *stage, victim, _ *harness.Member) {
		s.Unplug(victim)
		victim.KillAll()
		time.Sleep(longer)
		s.Plug(victim)
		victim.Start()
	}},
	{"a stopped process", func(s *stage, victim, _ *harness.Member) {
		victim.Signal(syscall.SIGSTOP)
		time.Sleep(longer)
		victim.Signal(syscall.SIGCONT)
	}},
	{"a short stop", func(s *stage, victim, _ *harness.Member) {
		victim.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		victim.Signal(syscall.SIGCONT)
	}},
	{"a gateway without the others", func(s *stage, victim, _ *harness.Member) {
		cut(s, victim, true)
		time.Sleep(longer)
		cut(s, victim, false)
	}},
	{"two gateways without each other", func(s *stage, victim, other *harness.Member) {
		s.Cut(victim, other)
		s.Cut(other, victim)
		time.Sleep(longer)
		s.Heal(victim, other)
		s.Heal(other, victim)
	}},
	{"one way is cut", func(s *stage, victim, other *harness.Member) {
		s.Cut(victim, other)
		time.Sleep(longer)
		s.Heal(victim, other)
	}},
	{"the database's leader crashes", func(s *stage, _, _ *harness.Member) {
		var leader *harness.Member
		s.Await("the database has a leader", func() bool { leader = s.Leader(); return leader != nil })
		leader.Kill()
		leader.Start()
	}},
	{"two crash, one after the other", func(s *stage, victim, other *harness.Member) {
		s.crash(victim)
		victim.Start()
		s.crash(other)
		other.Start()
	}},
}

// crash kills a gateway, and notes when that was.
func (s *stage) crash(victim *harness.Member) {
	from := time.Since(clock)
	victim.Kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crashes = append(s.crashes, [2]time.Duration{from, time.Since(clock)})
}

// crashed reports whether a gateway was killed between two times.
func (s *stage) crashed(from, to time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.crashes, func(c [2]time.Duration) bool { return c[0] <= to && from <= c[1] })
}

// cut separates a gateway from all others, in both directions, or heals that.
func cut(s *stage, victim *harness.Member, apart bool) {
	for _, m := range s.Members {
		switch {
		case m == victim:
		case apart:
			s.Cut(victim, m)
			s.Cut(m, victim)
		default:
			s.Heal(victim, m)
			s.Heal(m, victim)
		}
	}
}

// TestFaults lets things happen to gateways while clients write: nothing that was acknowledged is lost, nothing is written by a
// gateway after it was replaced, and all comes to rest.
func TestFaults(t *testing.T) {
	s := setStage(t, 3, harness.ClusterConfig{})
	u := s.work(6)
	for round := range choose(1, 12) {
		for i, f := range faults {
			if !harness.Long() && i == len(faults)-1 {
				continue
			}
			n := rand.IntN(3)
			victim, other := s.Members[n], s.Members[(n+1+rand.IntN(2))%3]
			begun := time.Now()
			f.do(s, victim, other)
			u.progress()
			s.AwaitRest(len(s.volumes))
			t.Logf("round %d, %s (%s, %s): at rest %v after its beginning", round, f.name, victim.Name, other.Name, time.Since(begun).Round(time.Millisecond))
		}
	}
	u.end()
	for _, m := range s.Members {
		if st, err := m.Status(); err != nil || len(st.Database.Servers) != 3 {
			t.Error(fmt.Sprint(m.Name, ": ", st, err))
		}
	}
}
