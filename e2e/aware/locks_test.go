//go:build linux

package aware

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway"
	"causeway/e2e/harness"
	"causeway/redirect"
)

// TestLocks: a program in an NFS mount and an aware client, at different gateways, lock the same file. The lock outlives the gateway by which it
// was taken, and the one that administers the volume.
func TestLocks(t *testing.T) {
	s := setStage(t, 3, "home")
	guest := s.network.Boot(harness.GuestConfig{Name: "nfs", Locking: true})
	mount := guest.Mount(harness.Mount{Server: s.Members[2].Service.String(), Export: "/home", Version: "3", Port: 2049, Locking: true, Options: "hard,timeo=5,retrans=2"})
	held := func() bool {
		return strings.TrimSpace(guest.Sh(mount, "flock -n file true && echo free || echo held")) == "held"
	}
	u := s.dial(redirect.WayFailOver, "home", s.at(0), s.at(1))
	file, err := u.v.OpenFile(t.Context(), "file", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Lock(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	if !held() {
		t.Error("the mount has a lock that the client has")
	}
	s.Members[0].Kill()
	s.Await("the client is elsewhere", func() bool { return u.here("home") == s.at(1) })
	if _, err := file.WriteAt([]byte("mine"), 0); err != nil {
		t.Error(err)
	}
	if !held() {
		t.Error("the lock was lost with the gateway")
	}
	s.Members[0].Start()
	s.AwaitRest(1)
	if !held() {
		t.Error("the lock was lost when the gateway came back")
	}
	if err := file.Unlock(t.Context(), 0, 0); err != nil {
		t.Error(err)
	}
	if held() {
		t.Error("the lock that was given back is held")
	}

	guest.Sh(mount, "setsid flock file sh -c 'touch taken; while [ ! -e enough ]; do sleep 0.1; done' </dev/null >/dev/null 2>&1 & while [ ! -e taken ]; do sleep 0.1; done")
	if err := file.TryLock(t.Context(), 0, 1); !errors.Is(err, causeway.ErrLocked) {
		t.Errorf("the client has a lock that the mount has: %v", err)
	}
	got := make(chan error)
	go func() { got <- file.Lock(t.Context(), 0, 1) }()
	guest.Sh(mount, "touch enough")
	if err := <-got; err != nil {
		t.Error(err)
	}
	if err := file.Close(); err != nil || held() {
		t.Errorf("the file is closed, %v, and still locked: %v", err, held())
	}
}

// TestAppendTogether: a program in an NFS mount that locks the file while it appends, and an aware client that appends, lose nothing of one another.
func TestAppendTogether(t *testing.T) {
	s := setStage(t, 2, "home")
	guest := s.network.Boot(harness.GuestConfig{Name: "nfs", Locking: true})
	mount := guest.Mount(harness.Mount{Server: s.Members[1].Service.String(), Export: "/home", Version: "3", Port: 2049, Locking: true, Options: "hard"})
	u := s.dial(redirect.WayFailOver, "home", s.at(0))
	log, err := u.v.OpenFile(t.Context(), "log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.v.Chmod(t.Context(), "log", 0o666); err != nil {
		t.Fatal(err)
	}
	const lines = 40
	done := make(chan struct{})
	go func() {
		defer close(done)
		guest.Sh(mount, fmt.Sprintf("i=0; while [ $i -lt %d ]; do flock log sh -c \"echo line $i of the mount >>log\"; i=$((i+1)); done", lines))
	}()
	here := 0
	for ended := false; !ended || here < lines; here++ {
		if _, err := fmt.Fprintf(log, "line %d of the client\n", here); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(s.dirs["home"], "log"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for line := range strings.Lines(string(text)) {
		got[strings.TrimSpace(line)]++
	}
	for who, n := range map[string]int{"mount": lines, "client": here} {
		for i := range n {
			if line := fmt.Sprintf("line %d of the %s", i, who); got[line] != 1 {
				t.Errorf("%q is there %d times", line, got[line])
			}
		}
	}
	if len(got) != lines+here {
		t.Errorf("%d lines, not %d and %d", len(got), lines, here)
	}
}
