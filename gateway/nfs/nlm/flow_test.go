package nlm

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

func TestLockTestUnlock(t *testing.T) {
	w := newWorld(t, nil)
	for _, network := range []string{"tcp", "udp"} {
		a, b := w.guest(2, network), w.guest(3, network)
		l := ask{file: "f", svid: 1, offset: 10, length: 5}
		a.expect(granted, procLock, l)
		b.expect(denied, procLock, l)
		b.expect(denied, procTest, l)
		b.expect(granted, procTest, ask{file: "f", svid: 1, offset: 15, length: 0})
		a.expect(granted, procLock, ask{file: "f", svid: 1, offset: 0, length: 0, shared: true})
		b.expect(granted, procNMLock, ask{file: "f", svid: 1, shared: true})
		a.expect(granted, procUnlock, ask{file: "f", svid: 1})
		b.expect(granted, procUnlock, ask{file: "f", svid: 1})
		b.expect(fileTooBig, procLock, ask{file: "f", offset: 1 << 63})
		b.expect(granted, procLock, ask{file: "g", offset: 1<<63 - 1, length: 1})
		b.expect(granted, procUnlock, ask{file: "g", offset: 1<<63 - 1, length: 1})
		if w.held() != 0 {
			t.Fatal(w.locks.Locks())
		}
		a.kill()
		b.kill()
	}
}

// TestHolder: a TEST tells who is in the way.
func TestHolder(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 77, offset: 10, length: 0})
	question := b.args(ask{file: "f", svid: 1, offset: 20, length: 1})
	err := b.call(Program, 4, procTest, question.encodeFor(procTest, true), func(d *xdr.Decoder) error {
		_, st := decodeResult(d)
		excl, svid, oh, off, n := d.Bool(), d.Uint32(), d.Opaque(100), d.Uint64(), d.Uint64()
		if st != denied || !excl || svid != 77 || len(oh) != 0 || off != 10 || n != 0 || !d.Done() {
			t.Error(st, excl, svid, oh, off, n)
		}
		return nil
	})
	w.must(err)
}

// TestGranted: the callback comes from the address that the client called, with all that it needs to find its process.
func TestGranted(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		w := newWorld(t, nil)
		a, b := w.guest(2, network), w.guest(3, network)
		a.expect(granted, procLock, ask{file: "f", svid: 1})
		want := ask{file: "f", svid: 9, offset: 5, length: 0, block: true}
		b.expect(blocked, procLock, want)
		b.expect(blocked, procLock, want) // it asks again while it waits
		a.expect(granted, procUnlock, ask{file: "f", svid: 1})
		w.eventually("granted", func() bool { return len(b.grants()) == 1 })
		g := b.grants()[0]
		g.cookie = nil
		if g.from != w.at.Addr() || g.caller != "server" || g.handle != "fh:f" || g.svid != 9 || g.offset != 5 || g.length != 0 || !g.exclusive {
			t.Errorf("%+v", g)
		}
		w.eventually("acknowledged", func() bool { return w.nlm.Stats().Unacknowledged == 0 })
		a.expect(denied, procLock, ask{file: "f", svid: 1, offset: 6, length: 1})
		if w.held() != 1 || w.nlm.Stats().Waiting != 0 {
			t.Error(w.locks.Locks(), w.nlm.Stats())
		}
	}
}

// TestGrantedRefused: a client that does not want the lock any more does not keep it.
func TestGrantedRefused(t *testing.T) {
	w := newWorld(t, nil)
	a, b, c := w.guest(2, "tcp"), w.guest(3, "tcp"), w.guest(4, "tcp")
	b.set(func() { b.answer = denied })
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	c.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("the next in the queue has it", func() bool { return len(c.grants()) == 1 })
	if len(b.grants()) != 1 {
		t.Error(b.grants())
	}
}

// TestGrantedIsRepeated: until the client, which was away, acknowledges.
func TestGrantedIsRepeated(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = 200 * time.Millisecond })
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	b.kill()
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("tried twice", func() bool { return w.nlm.Stats().CallbackFailures >= 2 })
	if n := w.nlm.Stats(); n.Unacknowledged != 1 {
		t.Error(n)
	}
	b.boot()
	w.eventually("acknowledged", func() bool { return len(b.grants()) == 1 && w.nlm.Stats().Unacknowledged == 0 })
	if w.held() != 1 {
		t.Error(w.locks.Locks())
	}
}

// TestGrantedInVain: a lock that a client never acknowledges does not stop the others for ever.
func TestGrantedInVain(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout, c.GrantTimeout = 200*time.Millisecond, 300*time.Millisecond })
	a, b, c := w.guest(2, "tcp"), w.guest(3, "tcp"), w.guest(4, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	c.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	b.kill()
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("the next in the queue has it", func() bool { return len(c.grants()) == 1 })
}

// TestGrantedFoundByAsking: a client that asks again finds that it has the lock; the callback is not needed any more.
func TestGrantedFoundByAsking(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = 200 * time.Millisecond })
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	b.kill()
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("unacknowledged", func() bool { return w.nlm.Stats().Unacknowledged == 1 })
	b.expect(granted, procLock, ask{file: "f", svid: 1, block: true})
	if n := w.nlm.Stats(); n.Unacknowledged != 0 || w.held() != 1 {
		t.Error(n, w.locks.Locks())
	}
}

// TestGrantedMsg: a client without GRANTED gets GRANTED_MSG, and acknowledges by GRANTED_RES, which counts from its address only.
func TestGrantedMsg(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RetryMin, c.RetryMax = time.Minute, time.Minute })
	a, b := w.guest(2, "udp"), w.guest(3, "udp")
	b.set(func() { b.syncless = true })
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("granted", func() bool { return len(b.grants()) == 1 })
	answer := func(g *guest, cookie []byte, st status) {
		w.must(g.call(Program, 4, procGrantedRes, func(e *xdr.Encoder) { (&result{cookie: cookie, status: st}).encode(e, true) }, nil))
	}
	cookie := b.grants()[0].cookie
	answer(a, cookie, denied)
	answer(b, cookie[1:], denied)
	answer(b, append([]byte{}, 1, 2, 3, 4, 5, 6, 7, 8), denied)
	if n := w.nlm.Stats(); n.Unacknowledged != 1 || w.held() != 1 {
		t.Fatal(n)
	}
	answer(b, cookie, granted)
	if n := w.nlm.Stats(); n.Unacknowledged != 0 || w.held() != 1 {
		t.Fatal(n)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = 200 * time.Millisecond })
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	wait := ask{file: "f", svid: 1, offset: 1, length: 1, block: true}
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(denied, procCancel, wait)
	b.expect(blocked, procLock, wait)
	b.expect(granted, procCancel, wait)
	b.expect(denied, procCancel, wait)
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	if w.held() != 0 || len(b.grants()) != 0 {
		t.Error(w.locks.Locks(), b.grants())
	}
	// Too late, but the client does not know yet that it has the lock.
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, wait)
	b.kill()
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("unacknowledged", func() bool { return w.nlm.Stats().Unacknowledged == 1 })
	b.expect(granted, procCancel, wait)
	if w.held() != 0 || w.nlm.Stats().Unacknowledged != 0 {
		t.Error(w.locks.Locks(), w.nlm.Stats())
	}
	// The CANCEL was lost, and the process ends.
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, wait)
	b.expect(granted, procUnlock, wait)
	if n := w.locks.Stats(); n.Waiting != 0 || w.nlm.Stats().Waiting != 0 {
		t.Error(n)
	}
}

func TestDeadlock(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(granted, procLock, ask{file: "g", svid: 1})
	a.expect(blocked, procLock, ask{file: "g", svid: 1, block: true})
	b.expect(deadlock, procLock, ask{file: "f", svid: 1, block: true})
}

// TestMessages: the forms whose answers are calls.
func TestMessages(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		w := newWorld(t, nil)
		a, b := w.guest(2, network), w.guest(3, network)
		send := func(g *guest, proc uint32, x ask) {
			l := g.args(x)
			w.must(g.call(Program, 4, proc-procTest+procTestMsg, l.encodeFor(proc, true), func(d *xdr.Decoder) error {
				if !d.Done() {
					t.Error("a reply to a message")
				}
				return nil
			}))
		}
		steps := []struct {
			g    *guest
			proc uint32
			want status
		}{{a, procLock, granted}, {b, procTest, denied}, {b, procLock, blocked}, {b, procCancel, granted}, {a, procUnlock, granted}}
		for _, s := range steps {
			send(s.g, s.proc, ask{file: "f", svid: 1, block: true})
			want := message{s.proc - procTest + procTestRes, "cookie12", s.want}
			w.eventually("answered", func() bool {
				s.g.mu.Lock()
				defer s.g.mu.Unlock()
				return slices.Contains(s.g.results, want)
			})
		}
		// One who has no handle of ours is not called.
		l := a.args(ask{file: "f"})
		l.lock.handle = []byte("nonsense")
		w.must(a.call(Program, 4, procTestMsg, l.encodeFor(procTest, true), nil))
		send(a, procTest, ask{file: "f"})
		w.eventually("answered", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return slices.Contains(a.results, message{procTestRes, "cookie12", granted})
		})
		a.set(func() {
			if len(a.results) != 3 {
				t.Error(a.results)
			}
		})
	}
}

// TestOldVersions: 32-bit offsets, and statuses that version 4 brought are not used.
func TestOldVersions(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	for _, vers := range []uint32{1, 3} {
		run := func(g *guest, proc uint32, x ask) (st status) {
			l := g.args(x)
			w.must(g.call(Program, vers, proc, l.encodeFor(proc, false), func(d *xdr.Decoder) error {
				_, st = decodeResult(d)
				return nil
			}))
			return st
		}
		if st := run(a, procLock, ask{file: "f", svid: 1, offset: 1 << 31, length: 1 << 31}); st != granted {
			t.Error(vers, st)
		}
		if st := run(b, procTest, ask{file: "f", svid: 1, offset: 1<<32 - 1, length: 0}); st != denied {
			t.Error(vers, st)
		}
		if st := run(a, procUnlock, ask{file: "f", svid: 1, offset: 0}); st != granted || w.held() != 0 {
			t.Error(vers, st)
		}
	}
	if err := a.call(Program, 1, procFreeAll, nil, nil); err == nil {
		t.Error("version 1 has no FREE_ALL")
	}
}

func TestShare(t *testing.T) {
	w := newWorld(t, nil)
	a := w.guest(2, "tcp")
	for proc, want := range map[uint32]status{procShare: failed, procUnshare: granted} {
		err := a.call(Program, 4, proc, func(e *xdr.Encoder) {
			e.Opaque([]byte("cookie12"))
			e.String(a.name)
			e.Opaque([]byte("fh:f"))
			e.Opaque([]byte("owner"))
			for range 3 { // mode, access, reclaim
				e.Uint32(0)
			}
		}, func(d *xdr.Decoder) error {
			if cookie, st := decodeResult(d); string(cookie) != "cookie12" || st != want || d.Uint32() != 0 || !d.Done() {
				t.Error(proc, st)
			}
			return nil
		})
		w.must(err)
	}
}

// TestSameNameElsewhere: hosts that were cloned have one name, and are two clients.
func TestSameNameElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	b.name = a.name
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(denied, procLock, ask{file: "f", svid: 1})
	b.expect(granted, procUnlock, ask{file: "f", svid: 1})
	if w.held() != 1 || svidOf(w.locks.Locks()[0].Owner) != 1 {
		t.Error(w.locks.Locks())
	}
}

func TestFreeAll(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procNMLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	freeAll := func(g *guest, name string) {
		w.must(g.call(Program, 4, procFreeAll, func(e *xdr.Encoder) {
			e.String(name)
			e.Uint32(0)
		}, nil))
	}
	freeAll(b, a.name) // not his
	if len(b.grants()) != 0 {
		t.Error(b.grants())
	}
	freeAll(a, a.name)
	w.eventually("granted", func() bool { return len(b.grants()) == 1 })
}

// TestFreeAllOfAUser: where a host's locks come from a privileged port, a process of its without one cannot give them up; nor can
// a datagram, whose sender may be anybody.
func TestFreeAllOfAUser(t *testing.T) {
	w := newWorld(t, nil)
	call := func(proc uint32, from string, datagram bool, a func(*xdr.Encoder)) {
		t.Helper()
		var e xdr.Encoder
		a(&e)
		c := &rpc.Call{Prog: Program, Vers: 4, Proc: proc, Remote: netip.MustParseAddrPort(from), Local: w.at, Datagram: datagram, Args: xdr.NewDecoder(e.Bytes())}
		if verdict := w.nlm.Handle(t.Context(), c); verdict != rpc.Done {
			t.Fatal(proc, verdict)
		}
	}
	freeAll := func(e *xdr.Encoder) { e.String("guest9"); e.Uint32(0) }
	for _, held := range []struct {
		port, other string
		left        int
	}{{"127.0.0.9:700", "127.0.0.9:701", 0}, {"127.0.0.9:700", "127.0.0.9:7000", 1}, {"127.0.0.9:7000", "127.0.0.9:7001", 1}} {
		a := args{exclusive: true, lock: lockArgs{"guest9", []byte("fh:f"), nil, 1, 0, 0}}
		call(procLock, held.port, false, a.encodeFor(procLock, true))
		call(procFreeAll, held.other, true, freeAll)
		if w.held() != 1 {
			t.Fatalf("%+v: a datagram freed it", held)
		}
		call(procFreeAll, held.other, false, freeAll)
		if w.held() != held.left {
			t.Errorf("%+v: %d locks are left", held, w.held())
		}
	}
}

func TestBounds(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxClients, c.MaxClientsPerAddr = 3, 2 })
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	names := func(g *guest, want status, name string) {
		g.name = name
		g.expect(want, procLock, ask{file: "f", shared: true})
	}
	names(a, granted, "one")
	names(a, granted, "two")
	names(a, deniedNoLocks, "three")
	names(a, granted, "one")
	names(b, granted, "one")
	names(b, deniedNoLocks, "two")
}

func TestRefusedCalls(t *testing.T) {
	s := &Service{}
	for _, c := range []struct {
		vers, proc uint32
		nowait     bool
		want       rpc.Verdict
	}{
		{4, procNull, true, rpc.Done},
		{4, procLock, true, rpc.Park},
		{4, procLock, false, rpc.GarbageArgs},
		{4, procLockMsg, false, rpc.GarbageArgs},
		{4, procGrantedRes, false, rpc.GarbageArgs},
		{4, procShare, false, rpc.GarbageArgs},
		{4, procFreeAll, false, rpc.GarbageArgs},
		{4, procGranted, false, rpc.ProcUnavail},
		{4, 16, false, rpc.ProcUnavail},
		{4, 24, false, rpc.ProcUnavail},
	} {
		call := &rpc.Call{Vers: c.vers, Proc: c.proc, NoWait: c.nowait, Remote: netip.MustParseAddrPort("127.0.0.2:1")}
		if v := s.Handle(context.Background(), call); v != c.want {
			t.Errorf("%+v: %v", c, v)
		}
	}
}

// TestAskAgain: the table that a client's request waited in is gone, as when another gateway administers the volume. The request is made
// again, in the order of before, and nothing is left of one that was taken back.
func TestAskAgain(t *testing.T) {
	w := newWorld(t, nil)
	a, b, c := w.guest(2, "tcp"), w.guest(3, "tcp"), w.guest(4, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	c.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
	gone := ask{file: "f", svid: 2, block: true}
	b.expect(blocked, procLock, gone)
	held := w.locks.Locks()
	if len(held) != 1 {
		t.Fatal(held)
	}
	forget := func() {
		w.locks.Drop(held[0].Handle.Volume)
		if _, code := w.locks.Assert(held[0]); code != causeway.OK {
			t.Fatal(code)
		}
	}
	forget()
	w.nlm.AskAgain(held[0].Handle.Volume)
	b.expect(granted, procCancel, gone)
	w.eventually("both wait", func() bool { return w.locks.Stats().Waiting == 2 })
	if n := w.locks.Stats().Waiting; n != 2 {
		t.Fatal(n)
	}
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("the first has it", func() bool { return len(b.grants()) == 1 })
	if len(c.grants()) != 0 {
		t.Error("the second has it too")
	}
	// What is free by then is granted at once.
	w.locks.Drop(held[0].Handle.Volume)
	w.nlm.AskAgain(held[0].Handle.Volume)
	w.eventually("the second has it", func() bool { return len(c.grants()) == 1 })
}
