package nlm

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// TestServerRestarts: clients that held locks are told, from the address that they know, reclaim, and only then others get
// something.
func TestServerRestarts(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
	first := w.nlm.cfg.Records.State()
	w.stop()
	w.start()
	b.expect(deniedGracePeriod, procLock, ask{file: "f", svid: 1})
	b.expect(deniedGracePeriod, procLock, ask{file: "f", svid: 1, reclaim: true}) // it had nothing
	w.eventually("told by name and by address", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.notices) == 2
	})
	state := w.nlm.cfg.Records.State()
	if state&1 == 0 || state <= first {
		t.Error(first, state)
	}
	a.set(func() {
		for i, name := range []string{"server", "127.0.0.1"} {
			if want := (notice{w.at.Addr(), name, state}); a.notices[i] != want {
				t.Errorf("%+v", a.notices[i])
			}
		}
	})
	a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3, reclaim: true})
	w.eventually("the grace period ends", func() bool { return !w.locks.Stats().Grace })
	b.expect(denied, procLock, ask{file: "f", svid: 1})
	a.expect(deniedGracePeriod, procLock, ask{file: "f", svid: 1, state: 3, reclaim: true})
	b.set(func() {
		if len(b.notices) != 0 || w.nlm.Stats().Notified != 1 {
			t.Error(b.notices, w.nlm.Stats())
		}
	})
}

// TestClientIsTold even if it is away when the server comes back.
func TestClientIsTold(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = 200 * time.Millisecond })
	a := w.guest(2, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	w.stop()
	a.kill()
	w.start()
	if n := w.nlm.Stats(); n.Notified != 0 {
		t.Error(n)
	}
	time.Sleep(50 * time.Millisecond) // some attempts go astray
	a.boot()
	w.eventually("told", func() bool { return w.nlm.Stats().Notified == 1 })
}

// TestClientRestarts: what it held before is released, once; what it takes afterwards stays, however often it says so.
func TestClientRestarts(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		w := newWorld(t, nil)
		a, b := w.guest(2, network), w.guest(3, network)
		a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
		b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true})
		a.notify(a.name, 5)
		w.eventually("the other client has the lock", func() bool { return len(b.grants()) == 1 })
		a.expect(granted, procLock, ask{file: "g", svid: 1, state: 5})
		a.notify(a.name+".example.org", 5)
		if w.held() != 2 {
			t.Error(w.locks.Locks())
		}
		// The notification is late: the next life's first lock is the sign.
		a.expect(granted, procLock, ask{file: "h", svid: 1, state: 7})
		if w.held() != 2 {
			t.Error(w.locks.Locks())
		}
		a.notify(a.name, 7)
		if w.held() != 2 {
			t.Error(w.locks.Locks())
		}
	}
}

// unsettled cannot release anything at first.
type unsettled struct {
	Locker
	left *atomic.Int32
}

func (u unsettled) ReleaseClient(ctx context.Context, kind causeway.OwnerKind, client string) error {
	if u.left.Add(-1) >= 0 {
		return causeway.ErrDelay
	}
	return u.Locker.ReleaseClient(ctx, kind, client)
}

// TestNotifyIsRepeated: a client whose locks could not be released is not told that it was heard.
func TestNotifyIsRepeated(t *testing.T) {
	var left atomic.Int32
	w := newWorld(t, func(c *Config) { c.Locker = unsettled{c.Locker, &left} })
	a := w.guest(2, "udp")
	a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
	left.Store(1)
	if err := a.call(NSMProgram, 1, smNotify, func(e *xdr.Encoder) {
		e.String(a.name)
		e.Uint32(5)
	}, nil); !errors.Is(err, rpc.ErrSystem) || w.held() != 1 {
		t.Errorf("%v, %d locks", err, w.held())
	}
	if a.notify(a.name, 5); w.held() != 0 {
		t.Error(w.locks.Locks())
	}
}

// TestNotifyMatches: which hosts a notification is about.
func TestNotifyMatches(t *testing.T) {
	for _, c := range []struct {
		clients []string // at the sender's address
		name    string
		left    int
	}{
		{[]string{"a", "b"}, "a", 1},
		{[]string{"a", "b"}, "A.example.org", 1},
		{[]string{"a.example.org", "a.example.net"}, "a.example.net", 1},
		{[]string{"a", "b"}, "c", 2},
		{[]string{"a"}, "c", 0},
		{[]string{"a", "b"}, "127.0.0.2", 0},
		{[]string{"a", "b"}, "127.0.0.3", 2},
	} {
		w := newWorld(t, nil)
		a := w.guest(2, "udp")
		for _, name := range c.clients {
			a.name = name
			a.expect(granted, procLock, ask{file: "f", svid: 1, shared: true, state: 1})
		}
		a.notify(c.name, 3)
		if w.held() != c.left {
			t.Errorf("%+v: %d", c, w.held())
		}
		a.kill()
	}
}

// TestSpoofedNotify: a host cannot say that another one has restarted.
func TestSpoofedNotify(t *testing.T) {
	w := newWorld(t, nil)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(granted, procLock, ask{file: "g", svid: 1})
	b.notify(a.name, 99)
	b.notify("127.0.0.2", 101)
	for _, l := range w.locks.Locks() {
		if l.Owner.Client == clientName(a.name, a.addr) {
			return
		}
	}
	t.Error(w.locks.Locks())
}

func TestNSMRefuses(t *testing.T) {
	w := newWorld(t, nil)
	a := w.guest(2, "udp")
	state := w.nlm.cfg.Records.State()
	for proc, want := range map[uint32][]uint32{smNull: nil, smStat: {smFail, state}, smMon: {smFail, state}, smUnmon: {state}, smUnmonAll: {state}} {
		w.must(a.call(NSMProgram, 1, proc, nil, func(d *xdr.Decoder) error {
			for _, v := range want {
				if got := d.Uint32(); got != v {
					t.Error(proc, got)
				}
			}
			if !d.Done() {
				t.Error(proc, "more than expected")
			}
			return nil
		}))
	}
	if err := a.call(NSMProgram, 1, 5, nil, nil); err == nil {
		t.Error("SM_SIMU_CRASH")
	}
	for _, name := range []string{"", strings.Repeat("x", maxName+1), "a\x00"} {
		if err := a.call(NSMProgram, 1, smNotify, func(e *xdr.Encoder) { e.String(name); e.Uint32(1) }, nil); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

// TestSweep: a client without locks is forgotten, one with locks is not.
func TestSweep(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Idle = 50 * time.Millisecond })
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(granted, procLock, ask{file: "g", svid: 1})
	b.expect(granted, procUnlock, ask{file: "g", svid: 1})
	records := func() int {
		files, _ := filepath.Glob(filepath.Join(w.dir, "*.client"))
		return len(files)
	}
	w.eventually("one is forgotten", func() bool { return w.nlm.Stats().Clients == 1 && records() == 1 })
	b.expect(granted, procLock, ask{file: "g", svid: 1})
	if records() != 2 {
		t.Error("not on record again")
	}
}

func TestStateDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nsm")
	open := func() *StateDir {
		s, err := OpenStateDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	r := Record{Name: "a<&>ü", Addr: netip.MustParseAddr("192.0.2.1"), Locals: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, State: 5}
	other := Record{Name: "a<&>ü", Addr: netip.MustParseAddr("192.0.2.2")}
	for _, put := range []Record{r, other, r} {
		if err := s.Put(t.Context(), put); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), other); err != nil {
		t.Fatal("again:", err)
	}
	os.WriteFile(filepath.Join(dir, "cut.client.new"), []byte("{"), 0o600)
	again := open()
	if k := again.Known(); len(k) != 1 || k[0].Client() != r.Client() || k[0].State != 5 || len(k[0].Locals) != 1 || again.State() != s.State()+2 || s.State()&1 != 1 {
		t.Error(k, s.State(), again.State())
	}
	for name, content := range map[string]string{"x.client": `{"format":9}`, "y.client": `{`, "z.client": "", "state": `{"format":2}`, "w.client": strings.Repeat(" ", 5000)} {
		file := filepath.Join(dir, name)
		old, _ := os.ReadFile(file)
		os.WriteFile(file, []byte(content), 0o600)
		if _, err := OpenStateDir(dir); err == nil {
			t.Errorf("%s: %.20q was taken", name, content)
		}
		os.Remove(file)
		if old != nil {
			os.WriteFile(file, old, 0o600)
		}
	}
}
