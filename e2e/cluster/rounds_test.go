//go:build linux

package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
	"causeway/e2e/posix/rounds"
)

const roundsPid = "/run/rounds.pid"

// TestRounds has a Linux kernel client make and rename and remove names through one address while gateways are killed: the one there, and
// the one that administers the volume. No call fails, what was acknowledged is there, and nothing is done twice; but what the
// administrator had done and told nobody when it died may be: that is one call at most each time.
func TestRounds(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	volume := s.volumes[0]
	guest := s.network.Boot(harness.GuestConfig{Name: "alpha"})
	dir := guest.Mount(harness.Mount{Server: s.Members[0].Service.String(), Export: "/" + volume, Version: "3", Port: 2049, Options: "hard,timeo=5,retrans=2"})
	made := s.dirs[volume]
	guest.Sh(dir, "mkdir rounds")
	made += "/rounds"
	done := make(chan harness.Result, 1)
	go func() {
		result, err := guest.Run(t.Context(), wire.Command{Dir: dir + "/rounds", Argv: []string{harness.Build(t, "e2e/posix"), "rounds", "-pid", roundsPid}})
		if err != nil {
			result.Stderr += err.Error()
		}
		done <- result
	}()
	owners := 0
	for i := range choose(6, 80) {
		receiver := s.Members[0]
		owner := []*harness.Member{s.Members[2], s.Members[1], receiver}[i/2%3]
		s.move(volume, owner)
		s.rounds(made, done)
		victim := receiver
		if i%2 == 1 {
			victim = owner
		}
		if victim == owner {
			owners++
		}
		begun := time.Now()
		victim.Kill()
		s.rounds(made, done) // through the others
		victim.Start()
		s.AwaitRest(1)
		t.Logf("%s of %s, administered by %s: at rest after %v", victim.Name, receiver.Name, owner.Name, time.Since(begun).Round(time.Millisecond))
	}
	guest.Sh("/", "kill -TERM $(cat "+roundsPid+")")
	result := <-done
	if result.Status != 0 {
		t.Fatalf("a call failed: %s\n%s", result.Stderr, tail(result.Stdout))
	}
	promised, twice, err := rounds.Verify(made, result.Stdout)
	if err != nil {
		t.Error(err)
	}
	if len(twice) > owners {
		t.Errorf("done twice, with %d administrators killed:\n%s", owners, strings.Join(twice, "\n"))
	}
	t.Logf("%d rounds; done twice: %q", promised, twice)
}

// rounds waits until the guest has done some more rounds.
func (s *stage) rounds(dir string, done <-chan harness.Result) {
	s.t.Helper()
	latest := func() (n int) {
		names, _ := os.ReadDir(dir)
		for _, e := range names {
			one := 0
			if _, err := fmt.Sscanf(e.Name(), "d%d", &one); err == nil {
				n = max(n, one)
			}
		}
		return n
	}
	before := latest()
	s.Await("the guest goes on", func() bool {
		select {
		case result := <-done:
			s.t.Fatalf("the guest has ended with status %d: %s\n%s", result.Status, result.Stderr, tail(result.Stdout))
		default:
		}
		return latest() >= before+3
	})
}

// tail is the end of a text.
func tail(text string) string { return text[max(0, len(text)-400):] }
