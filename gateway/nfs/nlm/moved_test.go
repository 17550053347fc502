package nlm

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway/gateway/nfs/rpc"
)

// shared are records that all gateways of a cluster see.
type shared struct {
	mu    sync.Mutex
	list  map[string]Record
	mine  bool // they were stored by an earlier life of the gateway
	stray bool // they were stored by a gateway that is gone
}

func (*shared) Known() []Record { return nil }
func (*shared) State() uint32   { return 41 }

func (s *shared) Put(_ context.Context, r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[r.Client()] = r
	return nil
}

func (s *shared) Delete(_ context.Context, r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, r.Client())
	return nil
}

func (s *shared) Mine() []Record  { return s.all(s.mine) }
func (s *shared) Stray() []Record { return s.all(s.stray) }

func (s *shared) all(some bool) (list []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if some {
		list = slices.Collect(maps.Values(s.list))
	}
	return list
}

func (s *shared) At(addr netip.Addr) (list []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.list {
		if r.Addr == addr {
			list = append(list, r)
		}
	}
	return list
}

// move lets another gateway answer at the server's address. Locks stay: others know them.
func (w *world) move() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.must(w.rpc.Shutdown(ctx))
	w.nlm.Close()
	var err error
	w.nlm, err = New(w.nlm.cfg)
	w.must(err)
	w.rpc, w.at = serveRPC(w.t, "127.0.0.1", w.at.Port(), func(s *rpc.Server) {
		for _, vers := range []uint32{1, 3, 4} {
			s.Register(Program, vers, w.nlm)
		}
		s.Register(NSMProgram, 1, w.nlm.NSM())
	})
	w.nlm.Start()
}

func newShared(t *testing.T) (*world, *shared) {
	records := &shared{list: map[string]Record{}}
	return newWorld(t, func(c *Config) { c.Records = records }), records
}

// TestServedElsewhere: clients whose address of ours has moved keep their locks and hear nothing; who restarts loses his, also when
// the gateway that hears of it has never seen him.
func TestServedElsewhere(t *testing.T) {
	w, _ := newShared(t)
	a, b, c := w.guest(2, "tcp"), w.guest(3, "tcp"), w.guest(4, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
	b.expect(granted, procLock, ask{file: "g", svid: 1, state: 3})
	w.move()
	c.expect(denied, procLock, ask{file: "f", svid: 1})
	a.notify(a.name, 5)
	c.expect(granted, procLock, ask{file: "f", svid: 1})
	b.expect(granted, procLock, ask{file: "h", svid: 1, state: 5}) // it has restarted, and nobody heard of it
	c.expect(granted, procLock, ask{file: "g", svid: 1})
	for _, g := range []*guest{a, b, c} {
		g.set(func() {
			if len(g.notices) != 0 {
				t.Error(g.name, g.notices)
			}
		})
	}
}

// TestLost: locks that are gone although no gateway restarted have to be told of once.
func TestLost(t *testing.T) {
	w, records := newShared(t)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
	b.expect(granted, procLock, ask{file: "g", svid: 1, state: 3})
	w.move()
	w.nlm.Lost(records.At(a.addr))
	w.nlm.Lost(records.At(a.addr))
	w.eventually("told", func() bool { return w.nlm.Stats().Notified == 1 })
	b.set(func() {
		if len(b.notices) != 0 {
			t.Error(b.notices)
		}
	})
	a.set(func() {
		if len(a.notices) != 2 || a.notices[0].state != 41 { // by name and by address
			t.Error(a.notices)
		}
	})
}

// TestRecordsOfThoseWhoAreGone: what an earlier life of this gateway has stored, or one that is gone, is forgotten when its client holds nothing.
func TestRecordsOfThoseWhoAreGone(t *testing.T) {
	for name, own := range map[string]func(*shared){"its own": func(s *shared) { s.mine = true }, "another gateway's": func(s *shared) { s.stray = true }} {
		t.Run(name, func(t *testing.T) {
			w, records := newShared(t)
			a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
			a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
			b.expect(granted, procLock, ask{file: "g", svid: 1, state: 3})
			b.expect(granted, procUnlock, ask{file: "g", svid: 1})
			own(records)
			w.nlm.Close()
			w.nlm.cfg.Idle = time.Nanosecond
			w.move()
			w.nlm.sweep(t.Context())
			if left := records.all(true); len(left) != 1 || left[0].Addr != a.addr {
				t.Errorf("%+v", left)
			}
		})
	}
}

// TestUnlock: an operator gives up what a client holds that will not come back, by name or by address, whether it came to this gateway or to
// another one.
func TestUnlock(t *testing.T) {
	w, _ := newShared(t)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	name := clientName(a.name, a.addr)
	b.expect(granted, procLock, ask{file: "g", svid: 1, state: 3})
	for _, by := range []string{name, a.addr.String(), "::ffff:" + a.addr.String()} {
		for _, moved := range []bool{false, true} {
			a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
			if moved {
				w.move()
			}
			if names, err := w.nlm.Unlock(t.Context(), by); err != nil || !slices.Equal(names, []string{name}) {
				t.Fatal(by, names, err)
			}
			if names, err := w.nlm.Unlock(t.Context(), by); err != nil || len(names) != 0 {
				t.Error(by, names, err)
			}
		}
	}
	if w.held() != 1 {
		t.Error(w.locks.Locks())
	}
}
