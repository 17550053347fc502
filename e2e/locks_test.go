//go:build linux

package e2e

import (
	"context"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
)

// hold locks a file from a process in the guest, which keeps the lock until release is called.
func hold(g *harness.Guest, dir, file string) (release func()) {
	g.Sh(dir, `rm -f /tmp/go /tmp/held
setsid flock `+file+` sh -c 'touch /tmp/held; while [ ! -e /tmp/go ]; do sleep 0.05; done' >/dev/null 2>&1 &
while [ ! -e /tmp/held ]; do sleep 0.05; done`)
	return func() { g.Sh(dir, "touch /tmp/go") }
}

// canLock tries to lock a file without waiting for other holders. It does wait for the end of a grace period: the client does.
func canLock(t *testing.T, g *harness.Guest, dir, file string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	result, err := g.Run(ctx, wire.Command{Dir: dir, Argv: []string{"flock", "-n", file, "true"}})
	if err != nil {
		t.Fatal(err)
	}
	return result.Status == 0
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came true: ", what)
		}
	}
}

// TestLockIsHandedOver: a process that waits in another guest gets the lock by a callback, not because its kernel asks again,
// as it does every 30 seconds.
func TestLockIsHandedOver(t *testing.T) {
	s := setStage(t)
	alpha, dirA := s.mountedWithLocks("alpha")
	beta, dirB := s.mountedWithLocks("beta")
	alpha.Sh(dirA, "touch f")
	for range 3 {
		release := hold(alpha, dirA, "f")
		if canLock(t, beta, dirB, "f") {
			t.Fatal("both have it")
		}
		got := make(chan struct{})
		go func() {
			defer close(got)
			beta.Sh(dirB, "flock f true")
		}()
		time.Sleep(time.Second) // so that it waits, as a rule
		release()
		select {
		case <-got:
		case <-time.After(20 * time.Second):
			t.Fatal("no callback")
		}
	}
}

// TestGuestDies: its locks stay, for it may only be slow, until it is back and says that it was gone.
func TestGuestDies(t *testing.T) {
	s := setStage(t)
	alpha, dirA := s.mountedWithLocks("alpha")
	beta, dirB := s.mountedWithLocks("beta")
	alpha.Sh(dirA, "touch f")
	hold(alpha, dirA, "f")
	alpha.Kill()
	if canLock(t, beta, dirB, "f") {
		t.Fatal("the lock is gone with its holder")
	}
	alpha.Boot()
	eventually(t, "the lock is free", func() bool { return canLock(t, beta, dirB, "f") })
}

// TestLockSurvivesGateway: a client is told that the gateway was gone, and reclaims before anybody else gets anything.
func TestLockSurvivesGateway(t *testing.T) {
	s := setStage(t)
	gateway, ok := s.server.(*harness.Gateway)
	if !ok {
		t.Skip("about this server only")
	}
	alpha, dirA := s.mountedWithLocks("alpha")
	beta, dirB := s.mountedWithLocks("beta")
	alpha.Sh(dirA, "touch f g")
	release := hold(alpha, dirA, "f")
	gateway.Kill()
	gateway.Start()
	if canLock(t, beta, dirB, "f") {
		t.Error("both have it")
	}
	if !canLock(t, beta, dirB, "g") {
		t.Error("nothing can be locked")
	}
	release()
	eventually(t, "the lock is free", func() bool { return canLock(t, beta, dirB, "f") })
}
