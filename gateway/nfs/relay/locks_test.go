package relay

import (
	"testing"

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
		e.Bool(false) // block
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
	lock(make, 2, nlmLock, 2, 1) // held, also to who asks the owner itself
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
