//go:build linux

package cluster

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
	"causeway/e2e/posix/records"
)

const recordsPid = "/run/records.pid"

// TestGuest has a Linux kernel client write through one address while the gateways there and those that administer the volume are
// killed and stopped: no call fails, and what was promised is there.
func TestGuest(t *testing.T) {
	s := setStage(t, 2, harness.ClusterConfig{})
	guest := s.network.Boot(harness.GuestConfig{Name: "alpha"})
	dir := guest.Mount(harness.Mount{Server: s.Members[0].Service.String(), Export: "/" + s.volumes[1], Version: "3", Port: 2049, Options: "hard,timeo=5,retrans=2"})
	program := harness.Build(t, "e2e/posix")
	written := make(chan harness.Result, 1)
	go func() {
		result, err := guest.Run(t.Context(), wire.Command{Dir: dir, Argv: []string{program, "records", "-pid", recordsPid}})
		if err != nil {
			result.Stderr += err.Error()
		}
		written <- result
	}()
	made := s.dirs[s.volumes[1]]
	for round := range choose(3, 40) {
		s.wrote(made)
		victim := s.Members[0]
		if round%2 == 1 {
			victim = s.owner(s.volumes[1])
		}
		begun := time.Now()
		if round%3 == 2 {
			victim.Signal(syscall.SIGSTOP)
			time.Sleep(longer)
			victim.Signal(syscall.SIGCONT)
		} else {
			victim.Kill()
			s.wrote(made) // through the others
			victim.Start()
		}
		s.AwaitRest(len(s.volumes))
		t.Logf("round %d: %s, at rest after %v", round, victim.Name, time.Since(begun).Round(time.Millisecond))
	}
	s.wrote(made)
	guest.Sh("/", "kill -TERM $(cat "+recordsPid+")")
	result := <-written
	if result.Status != 0 {
		t.Fatalf("the writer failed with status %d: %s", result.Status, result.Stderr)
	}
	promises := records.ReadPromises(strings.NewReader(result.Stdout))
	t.Logf("%d records, %d files", promises.Records, promises.Files)
	if err := records.Verify(records.Config{Dir: made, Seed: 1, Size: 5000, Batch: 20}, promises); err != nil {
		t.Errorf("in the directory: %v", err)
	}
	if r, err := guest.Run(t.Context(), wire.Command{Dir: dir, Argv: []string{program, "records", "-verify"}, Input: []byte(result.Stdout)}); err != nil || r.Status != 0 {
		t.Errorf("through the mount: status %d, %v, %s", r.Status, err, r.Stderr)
	}
}

// wrote waits until the guest has made some more files.
func (s *stage) wrote(dir string) {
	s.t.Helper()
	files := func() int {
		names, _ := filepath.Glob(filepath.Join(dir, "files", "file-*"))
		return len(names)
	}
	before := files()
	if err := harness.Poll(time.Minute, func() error {
		if now := files(); now < before+4 {
			return fmt.Errorf("%d files, %d before", now, before)
		}
		return nil
	}); err != nil {
		s.t.Fatalf("the guest makes no progress: %v", err)
	}
}
