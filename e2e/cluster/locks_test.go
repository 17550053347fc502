//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
	"causeway/e2e/posix/locks"
)

const actorPort = 7200

// machine is a guest that has mounted the volume at one gateway, and runs lock actors.
type machine struct {
	*harness.Guest
	dir  string
	dial func() (*locks.Remote, error)
}

// machine boots a guest with locks.
func (s *stage) machine(name string, at *harness.Member) *machine {
	s.t.Helper()
	guest := s.network.Boot(harness.GuestConfig{Name: name, Locking: true})
	dir := guest.Mount(harness.Mount{Server: at.Service.String(), Export: "/" + s.volumes[0], Version: "3", Port: 2049, Locking: true, Options: "hard,timeo=5,retrans=2"})
	return s.actors(guest, dir)
}

// actors makes a guest run lock actors in a directory.
func (s *stage) actors(guest *harness.Guest, dir string) *machine {
	s.t.Helper()
	m := &machine{Guest: guest, dir: dir}
	program := wire.Command{
		Argv: []string{harness.Build(s.t, "e2e/posix"), "locks", "-listen", fmt.Sprint(":", actorPort)},
		Dir:  m.dir, Env: []string{"GODEBUG=asyncpreemptoff=1"},
	}
	go m.Run(s.t.Context(), program)
	m.dial = func() (*locks.Remote, error) {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
		defer cancel()
		conn, err := s.network.Test().Dial(ctx, "tcp", net.JoinHostPort(m.Address.String(), fmt.Sprint(actorPort)))
		if err != nil {
			return nil, err
		}
		return locks.NewRemote("", conn), nil
	}
	s.Await("the guest runs actors", func() bool {
		actor, err := m.dial()
		if err == nil {
			actor.End()
		}
		return err == nil
	})
	return m
}

// actor starts a process in the guest that has a file open.
func (m *machine) actor(t *testing.T, file string) *locks.Remote {
	t.Helper()
	actor, err := m.dial()
	if err == nil {
		err = actor.Open(filepath.Join(m.dir, file))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(actor.End)
	return actor
}

// TestLocks has two guests lock through two gateways, of which neither administers the volume.
func TestLocks(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	s.move(s.volumes[0], s.Members[2])
	guests := []*machine{s.machine("alpha", s.Members[0]), s.machine("beta", s.Members[1])}
	for i, scenario := range locks.Scenarios() {
		begun := time.Now()
		for _, failure := range locks.Play(scenario, guests[0].dir, i, func(n int) (*locks.Remote, error) { return guests[n].dial() }) {
			t.Errorf("%s: %s", scenario.Name, failure)
		}
		t.Logf("%s: %v", scenario.Name, time.Since(begun).Round(time.Millisecond))
	}
	s.survive(guests)
}

// lockLosses are what happens to gateways while locks are held: the first and the second serve the guests, the third administers.
var lockLosses = []struct {
	name string
	do   func(s *stage)
}{
	{"the receiver dies", func(s *stage) { s.Members[0].Kill() }},
	{"it comes back", func(s *stage) { s.Members[0].Start() }},
	{"the owner dies", func(s *stage) { s.Members[2].Kill() }},
	{"it comes back", func(s *stage) { s.Members[2].Start() }},
	{"the volume moves to the receiver", func(s *stage) { s.move(s.volumes[0], s.Members[0]) }},
	{"receiver and owner in one dies", func(s *stage) { s.Members[0].Kill() }},
	{"it comes back", func(s *stage) { s.Members[0].Start() }},
	{"all are restarted, one after the other", func(s *stage) {
		for _, m := range s.Members {
			m.Stop()
			m.Start()
			s.AwaitRest(1)
		}
	}},
	{"the owner stops for longer than its lease", func(s *stage) {
		owner := s.owner(s.volumes[0])
		owner.Signal(syscall.SIGSTOP)
		time.Sleep(longer)
		owner.Signal(syscall.SIGCONT)
	}},
	{"the volume moves away", func(s *stage) { s.move(s.volumes[0], s.Members[2]) }},
}

// survive lets things happen while one guest holds locks: they stay, without a grace period and without a reclaim.
func (s *stage) survive(guests []*machine) {
	t := s.t
	t.Helper()
	monitors := [2]string{s.reclaims(guests[0]), s.reclaims(guests[1])}
	for i, loss := range lockLosses {
		if strings.HasPrefix(loss.name, "all are restarted") && !harness.Long() {
			continue // who waits at a gateway that restarts asks again after half a minute
		}
		file := fmt.Sprint("survives-", i)
		holder, other, third := guests[0].actor(t, file), guests[1].actor(t, file), guests[1].actor(t, file)
		if err := errors.Join(holder.Lock(locks.Exclusive, 0, 10), holder.Lock(locks.Shared, 20, 10), other.Lock(locks.Shared, 25, 10)); err != nil {
			t.Fatalf("%s: before: %v", loss.name, err)
		}
		waits := third.Wait(locks.Exclusive, 5, 3)
		time.Sleep(100 * time.Millisecond)
		begun := time.Now()
		loss.do(s)
		denied := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
				t.Errorf("%s: %s: %v, want EAGAIN", loss.name, what, err)
			}
		}
		denied("a lock of what another guest holds", other.Lock(locks.Exclusive, 9, 5))
		denied("an upgrade of what both share", holder.Lock(locks.Exclusive, 25, 1))
		took := time.Since(begun)
		if err := errors.Join(holder.Lock(locks.Exclusive, 40, 10), other.Lock(locks.Exclusive, 10, 5)); err != nil {
			t.Errorf("%s: new locks: %v", loss.name, err)
		}
		if !waits.Pending() {
			t.Errorf("%s: who waits has got what another holds: %v", loss.name, waits.Result())
		}
		unlocked := time.Now()
		if err := holder.Lock(locks.Unlocked, 0, 10); err != nil {
			t.Errorf("%s: unlock: %v", loss.name, err)
		}
		if err := harness.Poll(40*time.Second, func() error {
			if waits.Pending() {
				return errors.New("it still waits")
			}
			return nil
		}); err != nil {
			t.Errorf("%s: the lock is not granted: %v", loss.name, err)
		} else if err := waits.Result(); err != nil {
			t.Errorf("%s: who waited: %v", loss.name, err)
		}
		granted := time.Since(unlocked)
		denied("a lock of what was granted", holder.Lock(locks.Shared, 5, 1))
		for _, a := range []*locks.Remote{holder, other, third} {
			a.End()
		}
		t.Logf("%s: locks are answered after %v, who waited has the lock %v after its end", loss.name, took.Round(time.Millisecond), granted.Round(time.Millisecond))
	}
	for i, g := range guests {
		if now := s.reclaims(g); now != monitors[i] {
			t.Errorf("guest %d was told that its locks are lost:\n%s\nbefore:\n%s", i, now, monitors[i])
		}
	}
	for _, m := range s.Members {
		if strings.Contains(m.Log(), "what clients held is not known to any gateway") {
			t.Errorf("%s has had a grace period", m.Name)
		}
	}
}

// reclaims says how often a guest's lock manager was told that a server has restarted: the kernel starts a thread that reclaims.
func (s *stage) reclaims(g *machine) string {
	return g.Sh("/", "dmesg | grep -ci 'lockd\\|reclaim' || true")
}

// TestLocksLost ends all gateways at once, so that nobody knows the locks of a volume: those who held them are told, and have them again
// before others get them.
func TestLocksLost(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	s.move(s.volumes[0], s.Members[2])
	guests := []*machine{s.machine("alpha", s.Members[0]), s.machine("beta", s.Members[1])}
	holder, other := guests[0].actor(t, "file"), guests[1].actor(t, "file")
	if err := errors.Join(holder.Lock(locks.Exclusive, 0, 10), other.Lock(locks.Exclusive, 20, 10)); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Members {
		m.KillAll()
	}
	for _, m := range s.Members {
		m.Launch()
	}
	begun := time.Now()
	call := other.Wait(locks.Exclusive, 5, 10)
	s.AwaitRest(1)
	s.Await("its clients are told", func() bool {
		n := 0
		for _, m := range s.Members {
			n += len(m.Said("what clients held is not known to any gateway"))
		}
		return n > 0
	})
	third := guests[0].actor(t, "file")
	late := third.Wait(locks.Exclusive, 25, 1)
	if time.Sleep(3 * time.Second); !call.Pending() || !late.Pending() {
		t.Fatal("what was held before is given to another")
	}
	if err := errors.Join(holder.Lock(locks.Unlocked, 0, 10), other.Lock(locks.Unlocked, 20, 10)); err != nil {
		t.Fatal(err)
	}
	s.Await("who waited has the locks", func() bool { return !call.Pending() && !late.Pending() })
	if err := errors.Join(call.Result(), late.Result()); err != nil {
		t.Error(err)
	}
	if err := third.Lock(locks.Exclusive, 5, 1); err == nil {
		t.Error("two have one lock")
	}
	t.Logf("the locks of before are given up and granted to others %v after the gateways' start", time.Since(begun).Round(time.Millisecond))
}
