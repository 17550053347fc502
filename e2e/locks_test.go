//go:build linux

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/posix/locks"
)

const actorPort = 7200

// serveActors lets a guest run lock actors, which are dialled with the function that it returns.
func serveActors(t *testing.T, s *stage, guest *harness.Guest, dir string) func() (*locks.Remote, error) {
	t.Helper()
	command := posixCommand(t, dir, "locks", "-listen", fmt.Sprint(":", actorPort))
	go guest.Run(t.Context(), command)
	address := fmt.Sprintf("%v:%d", guest.Address, actorPort)
	dial := func() (*locks.Remote, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, err := s.network.Test().Dial(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return locks.NewRemote("", conn), nil
	}
	if err := harness.Poll(time.Minute, func() error {
		actor, err := dial()
		if err == nil {
			actor.End()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return dial
}

// TestLocksBetweenGuests plays the scenarios of fcntl locks with processes in two guests.
func TestLocksBetweenGuests(t *testing.T) {
	s := setStage(t)
	var dials [2]func() (*locks.Remote, error)
	var dir string
	for i, name := range []string{"alpha", "beta"} {
		var guest *harness.Guest
		guest, dir = s.mountedWithLocks(name)
		dials[i] = serveActors(t, s, guest, dir)
	}
	for i, scenario := range locks.Scenarios() {
		t.Run(scenario.Name, func(t *testing.T) {
			for _, failure := range locks.Play(scenario, dir, i, func(machine int) (*locks.Remote, error) { return dials[machine]() }) {
				t.Error(failure)
			}
		})
	}
}

// TestRebootDropsLocks: a client that dies keeps its locks until it comes back and says so; then others get them.
func TestRebootDropsLocks(t *testing.T) {
	s := setStage(t)
	alpha, dir := s.mountedWithLocks("alpha")
	beta, _ := s.mountedWithLocks("beta")
	holder, err := serveActors(t, s, alpha, dir)()
	if err != nil {
		t.Fatal(err)
	}
	waiter, err := serveActors(t, s, beta, dir)()
	if err != nil {
		t.Fatal(err)
	}
	for _, actor := range []*locks.Remote{holder, waiter} {
		if err := actor.Open(dir + "/file"); err != nil {
			t.Fatal(err)
		}
	}
	if err := holder.Lock(locks.Exclusive, 0, 10); err != nil {
		t.Fatal(err)
	}
	if err := waiter.Lock(locks.Exclusive, 0, 1); err == nil {
		t.Fatal("two guests have the same lock")
	}
	call := waiter.Wait(locks.Exclusive, 0, 1)
	alpha.Kill()
	if time.Sleep(time.Second); !call.Pending() {
		t.Fatalf("the lock of a client that died was given away before it came back: %v", call.Result())
	}
	alpha.Boot()
	if err := call.Result(); err != nil {
		t.Errorf("after the reboot of the holder: %v", err)
	}
}

// TestRestartKeepsLocks: clients reclaim their locks from a server that was restarted, before others can take them.
func TestRestartKeepsLocks(t *testing.T) {
	s := setStage(t)
	alpha, dir := s.mountedWithLocks("alpha")
	beta, _ := s.mountedWithLocks("beta")
	holder, err := serveActors(t, s, alpha, dir)()
	if err != nil {
		t.Fatal(err)
	}
	other, err := serveActors(t, s, beta, dir)()
	if err != nil {
		t.Fatal(err)
	}
	for _, actor := range []*locks.Remote{holder, other} {
		if err := actor.Open(dir + "/file"); err != nil {
			t.Fatal(err)
		}
	}
	if err := holder.Lock(locks.Exclusive, 0, 10); err != nil {
		t.Fatal(err)
	}
	s.server.Kill()
	s.server.Start()
	call := other.Wait(locks.Exclusive, 5, 10)
	if time.Sleep(3 * time.Second); !call.Pending() {
		t.Fatalf("another took a lock that was held before the restart: %v", call.Result())
	}
	if err := holder.Lock(locks.Unlocked, 0, 10); err != nil {
		t.Fatal(err)
	}
	if err := harness.Poll(2*time.Minute, func() error {
		if call.Pending() {
			return fmt.Errorf("the lock is not granted")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := call.Result(); err != nil {
		t.Error(err)
	}
}
