package gatewaytest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

func memSite(t testing.TB, n int, exclusive bool, lease time.Duration) *site {
	s := mem.New(mem.Config{Mode: 0o777})
	return split(t, n, exclusive, lease, func(int) backend.Store { return s })
}

func (x *site) root() causeway.Handle {
	x.Helper()
	e, err := x.owner.Load().Root(context.Background(), gatewaytest.Root(), x.volume.ID)
	if err != nil {
		x.Fatal(err)
	}
	return e.Handle
}

func (m *machine) create(name string) causeway.Handle {
	m.site.Helper()
	var e gateway.Entry
	if err := patiently(func() (err error) {
		e, _, err = m.access.Create(context.Background(), gatewaytest.Root(), m.site.root(), name, &gateway.CreateSpec{Type: causeway.TypeRegular})
		return err
	}); err != nil {
		m.site.Fatal(err)
	}
	return e.Handle
}

// patiently does a call again that is refused for now, as clients do: on a busy machine a lease ends that was to be renewed.
func patiently(call func() error) error {
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := call()
		code := causeway.CodeOf(err)
		if code != causeway.ErrDelay && code != causeway.ErrStaleEpoch || time.Since(begun) > 30*time.Second {
			return err
		}
	}
}

// tryWrite writes, or is refused for now.
func (m *machine) tryWrite(h causeway.Handle, data string) error {
	_, err := m.moves.Write(context.Background(), gatewaytest.Root(), h, 0, []byte(data), causeway.Unstable)
	return err
}

func (m *machine) write(h causeway.Handle, data string) error {
	return patiently(func() error { return m.tryWrite(h, data) })
}

// put is write with all that there is to say.
func (m *machine) put(h causeway.Handle, off uint64, data []byte, how causeway.Stability) (r gateway.WriteResult, err error) {
	err = patiently(func() (err error) {
		r, err = m.moves.Write(context.Background(), gatewaytest.Root(), h, off, data, how)
		return err
	})
	return r, err
}

func (m *machine) read(h causeway.Handle) (string, error) {
	buf := make([]byte, 64)
	n, err := m.get(h, 0, buf)
	return string(buf[:n]), err
}

// get is read with all that there is to say.
func (m *machine) get(h causeway.Handle, off uint64, buf []byte) (n int, err error) {
	err = patiently(func() error {
		r, err := m.moves.Read(context.Background(), gatewaytest.Root(), h, off, buf)
		n = r.N
		return err
	})
	return n, err
}

// TestNoHop: after the first time, nothing that is cached is asked for, and a miss is one call.
func TestNoHop(t *testing.T) {
	x := memSite(t, 2, true, time.Minute)
	a, ctx, c, root := x.gateways[1], t.Context(), gatewaytest.Root(), x.root()
	h := x.gateways[0].create("f")
	if _, _, err := x.gateways[0].access.Create(ctx, c, root, "l", &gateway.CreateSpec{Type: causeway.TypeSymlink, Target: "f"}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond) // what has just changed is not leased
	link, _, err := a.access.Lookup(ctx, c, root, "l")
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"getattr": func() error { _, err := a.access.GetAttr(ctx, c, h); return err },
		"access":  func() error { _, _, err := a.access.Access(ctx, c, h, causeway.MayRead); return err },
		"lookup":  func() error { _, _, err := a.access.Lookup(ctx, c, root, "f"); return err },
		"negative": func() error {
			if _, _, err := a.access.Lookup(ctx, c, root, "none"); causeway.CodeOf(err) != causeway.ErrNoEnt {
				return fmt.Errorf("found: %w", err)
			}
			return nil
		},
		"readlink": func() error { _, _, err := a.access.ReadLink(ctx, c, link.Handle); return err },
		"readdir": func() error {
			n := 0
			_, eof, err := a.access.ReadDir(ctx, c, root, 0, gateway.WantAttr, func(*causeway.DirEntry) bool { n++; return true })
			if n != 4 || !eof {
				return errors.Join(fmt.Errorf("%d entries, eof %v", n, eof), err)
			}
			return err
		},
		"read": func() error { _, err := a.read(h); return err },
	} {
		before := x.grants.Load() + x.calls.Load()
		if err := call(); err != nil {
			t.Fatal(name, err)
		}
		if n := x.grants.Load() + x.calls.Load() - before; n > 1 {
			t.Errorf("%s: a miss took %d calls", name, n)
		}
		before = x.grants.Load() + x.calls.Load()
		for range 10 {
			if err := call(); err != nil {
				t.Fatal(name, err)
			}
		}
		if n := x.grants.Load() + x.calls.Load() - before; n != 0 {
			t.Errorf("%s: %d calls for what is cached", name, n)
		}
	}
}

// TestRenewal: what is used stays leased beyond its first lease, without a new question.
func TestRenewal(t *testing.T) {
	x := memSite(t, 2, true, 300*time.Millisecond)
	a, h := x.gateways[1], x.gateways[0].create("f")
	for range 20 { // a loaded machine may miss a renewal
		if _, err := a.read(h); err != nil {
			t.Fatal(err)
		}
		before := x.grants.Load()
		for range 60 {
			if _, err := a.read(h); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if x.grants.Load() == before {
			return
		}
	}
	t.Error("it asks again in each four leases")
}

// TestNewOwner: grants go on under a new owner without a question, and it recalls them; the old one can recall nothing more.
func TestNewOwner(t *testing.T) {
	x := memSite(t, 3, true, 10*time.Second)
	a, b := x.gateways[1], x.gateways[2]
	h := a.create("f")
	if err := a.write(h, "one"); err != nil {
		t.Fatal(err)
	}
	x.move(b, causeway.Epoch{Revision: 2})
	before := x.grants.Load()
	if err := a.write(h, "two"); err != nil {
		t.Fatal(err)
	}
	if n := x.grants.Load() - before; n != 0 {
		t.Fatalf("asked %d times", n)
	}
	_, err := a.near.Recall(t.Context(), &gateway.Recall{Handle: h, Epoch: causeway.Epoch{Revision: 1}, Seq: 1 << 40})
	if causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Fatal("the old owner recalled:", err)
	}
	recalls := x.recalls.Load()
	if got, err := b.read(h); err != nil || got != "two" {
		t.Fatal(got, err)
	}
	if x.recalls.Load() == recalls {
		t.Fatal("the new owner does not know the writer")
	}
	if err := a.write(h, "three"); err != nil {
		t.Fatal(err)
	}
	if got, err := b.read(h); err != nil || got != "three" {
		t.Fatal(got, err)
	}
}

// holding is a store whose objects stop before they look at their attributes, or before they write, when told to.
type holding struct {
	backend.Store
	mu    sync.Mutex
	where string
	there chan struct{}
	goOn  chan struct{}
}

func (s *holding) arm(where string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.where, s.there, s.goOn = where, make(chan struct{}), make(chan struct{})
}

func (s *holding) pass(where string) {
	s.mu.Lock()
	armed := s.where == where
	there, proceed := s.there, s.goOn
	if armed {
		s.where = ""
	}
	s.mu.Unlock()
	if armed {
		close(there)
		<-proceed
	}
}

func (s *holding) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, l causeway.Locator) (backend.Object, error) {
	o, err := s.Store.Open(ctx, id, mode, l)
	if err != nil {
		return nil, err
	}
	return &holdingObject{o, s}, nil
}

func (s *holding) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	s.pass("setstat")
	return s.Store.SetStat(ctx, id, set)
}

// TestLeaseDuringChange: a change that began when nobody held anything is seen by who is given a lease while it runs.
func TestLeaseDuringChange(t *testing.T) {
	slow := &holding{Store: mem.New(mem.Config{Mode: 0o777})}
	x := split(t, 2, true, 10*time.Second, func(int) backend.Store { return slow })
	owner, a := x.gateways[0], x.gateways[1]
	h, ctx, c := owner.create("f"), t.Context(), gatewaytest.Root()
	slow.arm("setstat")
	changed, asked := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := owner.access.SetAttr(ctx, c, h, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o741}, nil)
		changed <- err
	}()
	<-slow.there
	go func() {
		_, err := a.access.GetAttr(ctx, c, h)
		asked <- err
	}()
	time.Sleep(20 * time.Millisecond) // so that it asks before the change is made
	close(slow.goOn)
	if err := errors.Join(<-changed, <-asked); err != nil {
		t.Fatal(err)
	}
	if now, err := a.access.GetAttr(ctx, c, h); err != nil || now.Mode != 0o741 {
		t.Fatalf("mode %o, %v", now.Mode, err)
	}
}

type holdingObject struct {
	backend.Object
	store *holding
}

func (o *holdingObject) Stat(ctx context.Context) (causeway.Attr, error) {
	a, err := o.Object.Stat(ctx)
	o.store.pass("stat")
	return a, err
}

func (o *holdingObject) WriteAt(ctx context.Context, p []byte, off uint64) (int, error) {
	o.store.pass("write")
	return o.Object.WriteAt(ctx, p, off)
}

// TestPausedWriter stops a gateway in the middle of a write for longer than its lease. The file is cut and written through
// another one meanwhile. Stopped anywhere before the system call, not one stale byte reaches the storage. Stopped at its
// door, the write is done late: no storage without fences can tell. Even then it is not reported as done.
func TestPausedWriter(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		for where, stale := range map[string]bool{"stat": false, "write": true} {
			t.Run(fmt.Sprintf("exclusive %v at %s", exclusive, where), func(t *testing.T) {
				s := mem.New(mem.Config{Mode: 0o777})
				slow := &holding{Store: s}
				x := split(t, 3, exclusive, 300*time.Millisecond, func(i int) backend.Store {
					if i == 1 {
						return slow
					}
					return s
				})
				a, b := x.gateways[1], x.gateways[2]
				h := b.create("f")
				if err := a.write(h, "before"); err != nil {
					t.Fatal(err)
				}
				slow.arm(where)
				done := make(chan error)
				go func() { done <- a.tryWrite(h, "stale stale") }()
				<-slow.there
				a.pause()
				set := &causeway.SetAttr{Mask: causeway.SetSize}
				if _, err := b.access.SetAttr(t.Context(), gatewaytest.Root(), h, set, nil); err != nil {
					t.Fatal(err)
				}
				if err := b.write(h, "new"); err != nil {
					t.Fatal(err)
				}
				a.resume()
				close(slow.goOn)
				if err := <-done; causeway.CodeOf(err) != causeway.ErrDelay {
					t.Errorf("the late write was answered with %v", err)
				}
				want := "new"
				if stale {
					want = "stale stale"
				}
				if got, err := b.read(h); err != nil || got != want {
					t.Errorf("read %q, %v", got, err)
				}
			})
		}
	}
}

// TestCloseToOpen: what was written through one gateway, every other one has after an open: size and bytes, at once, and
// neither sizes nor change attributes go backwards for who polls.
func TestCloseToOpen(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			closeToOpen(t, memSite(t, 4, exclusive, time.Second))
		})
	}
}

func closeToOpen(t *testing.T, x *site) {
	h, ctx, c := x.gateways[0].create("f"), t.Context(), gatewaytest.Root()
	stop := make(chan struct{})
	var pollers sync.WaitGroup
	defer func() { close(stop); pollers.Wait() }()
	attr := func(m *machine) (a causeway.Attr, err error) {
		err = patiently(func() (err error) { a, err = m.access.GetAttr(ctx, c, h); return err })
		return a, err
	}
	for _, m := range x.gateways {
		pollers.Go(func() {
			var last causeway.Attr
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := attr(m)
				if err != nil {
					t.Error(err)
					return
				}
				if a.Size < last.Size || a.Change < last.Change || a.Mtime.Compare(last.Mtime) < 0 {
					t.Errorf("%s went backwards: %+v after %+v", m.name, a, last)
					return
				}
				last = a
				time.Sleep(time.Millisecond)
			}
		})
	}
	for i := range 200 {
		writer, reader := x.gateways[rand.IntN(4)], x.gateways[rand.IntN(4)]
		for part := range 2 { // the second under the grant that the first one got, while others may have asked for attributes
			data := fmt.Appendf(nil, "%04d", i)[2*part : 2*part+2]
			if _, err := writer.put(h, uint64(4*i+2*part), data, causeway.FileSync); err != nil {
				t.Fatal(err)
			}
			if a, err := attr(reader); err != nil || a.Size != uint64(4*i+2*part+2) {
				t.Fatalf("%s wrote to %d, %s sees %d, %v", writer.name, 4*i+2*part+2, reader.name, a.Size, err)
			}
		}
		var e gateway.Entry
		err := patiently(func() (err error) { e, _, err = reader.access.Lookup(ctx, c, x.root(), "f"); return err })
		if err != nil || e.Attr.Size != uint64(4*i+4) {
			t.Fatalf("%s wrote to %d, %s sees %d, %v", writer.name, 4*i+4, reader.name, e.Attr.Size, err)
		}
		buf := make([]byte, 4)
		if _, err := reader.get(h, uint64(4*i), buf); err != nil || string(buf) != fmt.Sprintf("%04d", i) {
			t.Fatal(string(buf), err)
		}
	}
}

// BenchmarkRecall is a write at one gateway, and a read at another that sees it: both have to ask and to be recalled.
func BenchmarkRecall(b *testing.B) {
	x := memSite(b, 3, true, 3*time.Second)
	h := x.gateways[0].create("f")
	took := make([]time.Duration, b.N)
	for i := range b.N {
		want, start := fmt.Sprintf("%08d", i), time.Now()
		if err := x.gateways[1].write(h, want); err != nil {
			b.Fatal(err)
		}
		if got, err := x.gateways[2].read(h); err != nil || got != want {
			b.Fatal(got, err)
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "ns-median")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), "ns-worst")
}
