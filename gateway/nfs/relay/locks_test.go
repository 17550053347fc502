package relay

import (
	"net/netip"
	"testing"
	"time"

	lockd "causeway/gateway/nfs/nlm"
	"causeway/gateway/nfs/xdr"
)

// lockArgs encodes the arguments of TEST, LOCK, UNLOCK and FREE_ALL of NLM version 4.
func lockArgs(proc uint32, handle []byte, caller string, svid uint32) []byte {
	var e xdr.Encoder
	if proc == nlmFreeAll {
		e.String(caller)
		e.Uint32(0)
		return e.Bytes()
	}
	e.Opaque([]byte("cook"))
	if proc == nlmLock {
		e.Bool(true) // block
	}
	if proc != nlmUnlock {
		e.Bool(true) // exclusive
	}
	e.String(caller)
	e.Opaque(handle)
	e.Opaque([]byte("oh"))
	e.Uint32(svid)
	e.Uint64(0)
	e.Uint64(10)
	if proc == nlmLock {
		e.Bool(false) // reclaim
		e.Uint32(3)   // state
	}
	return e.Bytes()
}

// lockStatus is behind the cookie of 4 bytes.
func lockStatus(result []byte) uint32 { return status(result[min(8, len(result)):]) }

// TestLocks holds that locks are taken, tested and given back through any gateway, and that a client that gives up all of them gives
// up those at others.
func TestLocks(t *testing.T) {
	s := newSite(t, patience)
	s.file("locked")
	make := s.g[0].dial("127.0.0.1")
	file := lookedUp(t, make, s.root(), "locked")
	c := s.g[1].dial("127.0.0.1")
	lock := func(c *client, xid, proc uint32, svid, want uint32) {
		t.Helper()
		if got := lockStatus(c.call(xid, nlm, 4, proc, lockArgs(proc, file, "host", svid))); got != want {
			t.Errorf("procedure %d of %d: status %d, want %d", proc, svid, got, want)
		}
	}
	lock(c, 1, nlmLock, 1, 0)
	lock(make, 2, nlmTest, 2, 1) // held, also to who asks the owner itself
	lock(c, 3, nlmTest, 2, 1)
	lock(make, 4, nlmTest, 1, 0)
	lock(c, 5, nlmUnlock, 1, 0)
	lock(make, 6, nlmLock, 2, 0)
	lock(c, 7, nlmTest, 1, 1)
	c.call(8, nlm, 4, nlmFreeAll, lockArgs(nlmFreeAll, nil, "host", 0))
	lock(c, 9, nlmTest, 1, 0)

	short := newSite(t, 1)
	short.move("")
	for i, proc := range []uint32{nlmTest, nlmLock, nlmUnlock} {
		c := short.g[1].dial("127.0.0.1")
		if got := lockStatus(c.call(uint32(i), nlm, 4, proc, lockArgs(proc, file, "host", 1))); got != nlmGracePeriod {
			t.Errorf("procedure %d without an owner: %d", proc, got)
		}
	}
}

// TestGranted holds that a client that waits for a lock is called from the address that it has called, by the gateway that has it.
func TestGranted(t *testing.T) {
	s := newSite(t, patience)
	s.file("locked")
	direct, relayed := s.g[0].dial("127.0.0.1"), s.g[1].dial("127.0.0.1")
	file := lookedUp(t, direct, s.root(), "locked")
	if got := lockStatus(direct.call(1, nlm, 4, nlmLock, lockArgs(nlmLock, file, "host", 1))); got != 0 {
		t.Fatal(got)
	}
	if got := lockStatus(relayed.call(2, nlm, 4, nlmLock, lockArgs(nlmLock, file, "host", 2))); got != 3 { // BLOCKED
		t.Fatal(got)
	}
	direct.call(3, nlm, 4, nlmUnlock, lockArgs(nlmUnlock, file, "host", 1))
	select {
	case from := <-s.granted:
		if from.Addr().String() != s.g[1].host || s.g[1].callbacks.Load() == 0 {
			t.Errorf("called from %v, %d calls by the other gateway", from, s.g[1].callbacks.Load())
		}
	case <-time.After(patience):
		t.Fatal("never called")
	}
	if got := lockStatus(direct.call(4, nlm, 4, nlmTest, lockArgs(nlmTest, file, "host", 1))); got != 1 {
		t.Errorf("the lock is not held: %d", got)
	}
}

// TestCallbackOnly holds that a gateway calls clients for others with what servers call clients, and nothing else.
func TestCallbackOnly(t *testing.T) {
	s := newSite(t, patience)
	for proc := range uint32(30) {
		cb := lockd.Callback{Prog: nlm, Vers: 4, Proc: proc, Remote: netip.MustParseAddr("127.0.0.1"), Args: []byte{0, 0, 0, 0}}
		before := s.g[0].callbacks.Load()
		_, err := s.g[1].peers.CallBack(t.Context(), "g1", cb)
		made := s.g[0].callbacks.Load() != before
		if want := proc == 5 || proc >= 10 && proc <= 14; made != want || (err == nil) != (proc == 5) {
			t.Errorf("procedure %d: made %v, %v", proc, made, err)
		}
	}
}
