//go:build linux

package aware

import (
	"errors"
	"os"
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
