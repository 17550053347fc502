package drc_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/gateway/nfs/drc"
)

var (
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("192.0.2.2")
)

func key(a netip.Addr, xid uint32) drc.Key {
	return drc.Key{Client: a, XID: xid, Prog: 100003, Vers: 3, Proc: 12, Sum: 1}
}

func newCache(t *testing.T, cfg drc.Config) *drc.Cache {
	t.Helper()
	c, err := drc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func state(c *drc.Cache, k drc.Key) drc.State {
	_, s := c.Begin(k, nil)
	if s == drc.Fresh {
		c.Abort(k)
	}
	return s
}

func TestLifeOfACall(t *testing.T) {
	c := newCache(t, drc.Config{})
	k := key(alice, 1)
	if _, s := c.Begin(k, nil); s != drc.Fresh {
		t.Fatal(s)
	}
	if s := state(c, k); s != drc.Running {
		t.Error("while it runs:", s)
	}
	reply := []byte("reply")
	c.Finish(k, reply)
	copy(reply, "XXXXX")
	if got, s := c.Begin(k, []byte("head ")); s != drc.Finished || string(got) != "head reply" {
		t.Errorf("%d %q", s, got)
	}
	other := k
	for _, change := range []func(){
		func() { other.Client = bob }, func() { other.XID++ }, func() { other.Proc++ }, func() { other.Sum++ }, func() { other.Vers++ }, func() { other.Prog++ },
	} {
		other = k
		change()
		if s := state(c, other); s != drc.Fresh {
			t.Errorf("%+v: %d", other, s)
		}
	}
	if u := c.Usage(); u.Entries != 1 || u.Clients != 1 {
		t.Error(u)
	}
}

func TestAbort(t *testing.T) {
	c := newCache(t, drc.Config{})
	k := key(alice, 1)
	c.Begin(k, nil)
	c.Abort(k)
	if _, s := c.Begin(k, nil); s != drc.Fresh {
		t.Error(s)
	}
	c.Finish(k, nil)
	c.Abort(k)
	if s := state(c, k); s != drc.Finished {
		t.Error("Abort took a finished call:", s)
	}
}

// TestShareOfAClient: a client has more than its share as long as there is room, and then makes room itself, for others too.
func TestShareOfAClient(t *testing.T) {
	c := newCache(t, drc.Config{MaxEntries: 8, MaxClientEntries: 4, MaxClientBytes: 1 << 20, MaxBytes: 3 << 20})
	finish := func(k drc.Key, n int) { c.Begin(k, nil); c.Finish(k, make([]byte, n)) }
	finish(key(bob, 1), 10)
	for xid := range uint32(10) {
		finish(key(alice, xid), 10)
	}
	if u := c.Usage(); u.Entries != 8 {
		t.Error(u)
	}
	if state(c, key(bob, 1)) != drc.Finished {
		t.Error("one client drove out another's reply")
	}
	if state(c, key(alice, 2)) != drc.Fresh || state(c, key(alice, 3)) != drc.Finished {
		t.Error("not the oldest were dropped")
	}
	finish(key(bob, 2), 10)
	finish(key(bob, 3), 10)
	if state(c, key(bob, 3)) != drc.Finished || c.Usage().Entries != 8 {
		t.Error("there is no room for who has less than his share:", c.Usage())
	}
	finish(key(alice, 20), 4<<20)
	if u := c.Usage(); u.Bytes > 3<<20 {
		t.Error("a reply over the bound was kept:", u)
	}
}

func TestBoundsInTotal(t *testing.T) {
	c := newCache(t, drc.Config{MaxEntries: 8, MaxBytes: 1 << 20})
	for i := range 100 {
		k := key(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1)
		c.Begin(k, nil)
		c.Finish(k, make([]byte, 1000))
	}
	if u := c.Usage(); u.Entries != 8 || u.Clients != 8 {
		t.Error(u)
	}
	for i := range 100 {
		c.Begin(key(bob, uint32(i)), nil)
	}
	if u := c.Usage(); u.Entries > 16 {
		t.Error("running calls are not bounded:", u)
	}
}

func TestAge(t *testing.T) {
	now := time.Unix(1000, 0)
	c := newCache(t, drc.Config{MaxAge: time.Minute, Now: func() time.Time { return now }})
	c.Begin(key(alice, 1), nil)
	c.Finish(key(alice, 1), nil)
	now = now.Add(time.Minute)
	if state(c, key(alice, 1)) != drc.Finished {
		t.Error("dropped too early")
	}
	now = now.Add(time.Second)
	if state(c, key(alice, 1)) != drc.Fresh {
		t.Error("kept too long")
	}
	if u := c.Usage(); u != (drc.Usage{}) {
		t.Error(u)
	}
}

func TestSum(t *testing.T) {
	c, same, foreign := newCache(t, drc.Config{Secret: [16]byte{1}}), newCache(t, drc.Config{Secret: [16]byte{1}}), newCache(t, drc.Config{Secret: [16]byte{2}})
	args := []byte("arguments")
	if c.Sum(args, 1) != same.Sum(bytes.Clone(args), 1) {
		t.Error("gateways with one secret disagree")
	}
	if c.Sum(args, 1) == c.Sum(args, 2) || c.Sum(args, 1) == c.Sum(args[1:], 1) || c.Sum(args, 1) == foreign.Sum(args, 1) {
		t.Error("the sum ignores user, arguments or secret")
	}
}

func TestValidate(t *testing.T) {
	for _, cfg := range []drc.Config{{MaxEntries: -1}, {MaxBytes: -1}, {MaxClientEntries: -1}, {MaxClientBytes: -1}, {MaxAge: -1}} {
		if _, err := drc.New(cfg); err == nil {
			t.Errorf("%+v passed", cfg)
		}
	}
}

// TestOnce sends every call several times at once: it must be executed exactly once.
func TestOnce(t *testing.T) {
	c := newCache(t, drc.Config{})
	const calls, copies = 200, 4
	var done [calls]atomic.Int32
	var wg sync.WaitGroup
	for range copies {
		wg.Go(func() {
			for xid := range calls {
				k, want := key(alice, uint32(xid)), fmt.Sprint("reply ", xid)
				switch got, s := c.Begin(k, nil); s {
				case drc.Fresh:
					done[xid].Add(1)
					c.Finish(k, []byte(want))
				case drc.Finished:
					if string(got) != want {
						t.Errorf("%q, want %q", got, want)
					}
				}
			}
		})
	}
	wg.Wait()
	for xid := range done {
		if n := done[xid].Load(); n != 1 {
			t.Errorf("call %d was done %d times", xid, n)
		}
	}
}

// TestOp: equal calls have equal names at gateways with the same secret, and nothing else has.
func TestOp(t *testing.T) {
	open := func(secret byte) *drc.Cache {
		c, err := drc.New(drc.Config{Secret: [16]byte{secret}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b, other := open(1), open(1), open(2)
	base := drc.Key{Client: netip.MustParseAddr("192.0.2.1"), XID: 1, Prog: 2, Vers: 3, Proc: 4, Sum: 5}
	if a.Op(base) != b.Op(base) || a.Op(base) == other.Op(base) {
		t.Error("names do not go by the secret")
	}
	keys := []drc.Key{base, base, base, base, base, base, base}
	keys[1].Client = netip.MustParseAddr("192.0.2.2")
	keys[2].XID, keys[3].Prog, keys[4].Vers, keys[5].Proc, keys[6].Sum = 9, 9, 9, 9, 9
	seen := map[causeway.OpID]int{}
	for i, k := range keys {
		if j, twice := seen[a.Op(k)]; twice {
			t.Error(i, j)
		}
		seen[a.Op(k)] = i
	}
}
