package lockmgr_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/lockmgr"
)

func owner(client string, n int) causeway.Owner {
	return causeway.Owner{Kind: causeway.OwnerNLM, Client: client, Opaque: fmt.Sprint(n)}
}

func start(t *testing.T, c lockmgr.Config) *lockmgr.Manager {
	t.Helper()
	m, err := lockmgr.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

var file = causeway.Handle{Volume: 1, Object: causeway.ObjectID{1}}

func exclusive(off, n uint64) lockmgr.Request {
	return lockmgr.Request{Span: causeway.Span{Offset: off, Length: n}, Exclusive: true}
}

func TestGrantReachesItsKind(t *testing.T) {
	m := start(t, lockmgr.Config{})
	var got []lockmgr.Event
	m.Subscribe(causeway.OwnerNLM, func(e lockmgr.Event) {
		got = append(got, e)
		m.Stats() // no lock is held
	})
	m.Subscribe(causeway.OwnerV4, func(e lockmgr.Event) { t.Error(e) })
	a, b := owner("a", 1), owner("b", 1)
	if _, code := m.Lock(file, a, exclusive(0, 10)); code != causeway.OK {
		t.Fatal(code)
	}
	wait := exclusive(5, 1)
	wait.Wait = true
	if by, code := m.Lock(file, b, wait); code != causeway.ErrBlocked || by.Owner != a {
		t.Fatal(by, code)
	}
	if code := m.Unlock(file, a, causeway.Span{Length: causeway.ToEOF}); code != causeway.OK {
		t.Fatal(code)
	}
	want := lockmgr.Lock{Handle: file, Owner: b, Span: wait.Span, Exclusive: true}
	if len(got) != 1 || got[0].Lock != want {
		t.Fatal(got)
	}
	if locks := m.Locks(); len(locks) != 1 || locks[0] != want {
		t.Fatal(locks)
	}
	if s := m.Stats(); s.Held != 1 || s.Waiting != 0 || s.Clients != 1 {
		t.Fatal(s)
	}
}

func TestGraceEndsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, lockmgr.Config{Known: []lockmgr.Client{{Kind: causeway.OwnerNLM, Name: "a"}}})
		time.Sleep(89*time.Second + tickMargin)
		if _, code := m.Lock(file, owner("b", 1), exclusive(0, 1)); code != causeway.ErrGrace {
			t.Fatal(code)
		}
		time.Sleep(time.Second)
		if _, code := m.Lock(file, owner("b", 1), exclusive(0, 1)); code != causeway.OK {
			t.Fatal(code)
		}
	})
}

const tickMargin = 10 * time.Millisecond

func TestGraceEndsWhenAllAreDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := lockmgr.Client{Kind: causeway.OwnerNLM, Name: "a"}, lockmgr.Client{Kind: causeway.OwnerNLM, Name: "b"}
		m := start(t, lockmgr.Config{Known: []lockmgr.Client{a, b}})
		reclaim := exclusive(0, 1)
		reclaim.Reclaim = true
		if _, code := m.Lock(file, owner("a", 1), reclaim); code != causeway.OK {
			t.Fatal(code)
		}
		m.Told(b)
		time.Sleep(14*time.Second + tickMargin)
		if !m.Stats().Grace {
			t.Fatal("ended early")
		}
		time.Sleep(time.Second)
		if m.Stats().Grace {
			t.Fatal("did not end")
		}
	})
}

// TestCrowd: many goroutines take turns on one byte; every request is answered once, by a return or by an event.
func TestCrowd(t *testing.T) {
	m := start(t, lockmgr.Config{})
	const crowd, rounds = 16, 200
	granted := make([]chan struct{}, crowd)
	for i := range granted {
		granted[i] = make(chan struct{}, 1)
	}
	m.Subscribe(causeway.OwnerNLM, func(e lockmgr.Event) {
		var i int
		fmt.Sscan(e.Lock.Owner.Opaque, &i)
		granted[i] <- struct{}{}
	})
	inside, counter := 0, 0
	var all sync.WaitGroup
	for i := range crowd {
		all.Go(func() {
			r := exclusive(0, 1)
			r.Wait = true
			for range rounds {
				switch _, code := m.Lock(file, owner("c", i), r); code {
				case causeway.ErrBlocked:
					<-granted[i]
				case causeway.OK:
				default:
					t.Error(code)
				}
				inside++ // the race detector sees whether the lock keeps others out
				if inside != 1 {
					t.Error("two inside")
				}
				counter++
				inside--
				m.Unlock(file, owner("c", i), r.Span)
			}
		})
	}
	all.Wait()
	if counter != crowd*rounds || m.Stats() != (lockmgr.Stats{}) {
		t.Error(counter, m.Stats())
	}
}

func TestConfigNamesTheField(t *testing.T) {
	for field, c := range map[string]lockmgr.Config{
		"Grace":  {Grace: time.Millisecond},
		"Settle": {Settle: -1},
	} {
		if _, err := lockmgr.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func smbOpen(client string, share causeway.Sharing, caching causeway.Caching) lockmgr.OpenRequest {
	return lockmgr.OpenRequest{
		Held: causeway.Held{
			Handle: file, Name: "f", Owner: causeway.Owner{Kind: causeway.OwnerSMB, Client: client},
			Access: causeway.FileReadData | causeway.FileWriteData, Share: share,
		},
		Lease: lockmgr.LeaseRequest{ID: causeway.LeaseID{Kind: causeway.Lease, Client: client, Key: causeway.LeaseKey{1}}, Caching: caching},
	}
}

// TestCopy: an observer is told of each change before the call that made it returns, and a copy that applies them is equal.
func TestCopy(t *testing.T) {
	m, shadow := start(t, lockmgr.Config{}), start(t, lockmgr.Config{})
	m.Observe(func(changes []causeway.Held) { shadow.Apply(changes) })
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r := smbOpen(fmt.Sprint(i), causeway.ShareAll, 0)
			for n := range uint64(200) {
				h, _, err := m.Open(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				if _, code := m.Lock(file, h.Owner, exclusive(n*8+uint64(i), 1)); code != causeway.OK {
					t.Error(code)
				}
				at := fmt.Sprintf("%s/%x", h.Owner.Client, h.Open)
				if held := shadow.HeldBy(h.Owner); len(held) != 1 {
					t.Errorf("%s: a lock was answered, and the copy has %v", at, held)
				}
				if n%3 == 0 {
					m.CloseOpen(file, h.Open)
				}
			}
		})
	}
	all.Wait()
	a, b := m.Held(1, ""), shadow.Held(1, "")
	if len(a) != 8*(2*133+1) || len(b) != len(a) {
		t.Fatalf("%d held, the copy has %d", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("%+v, the copy has %+v", a[i], b[i])
		}
	}
	m.Drop(1)
	if a, b := m.Held(1, ""), shadow.Held(1, ""); len(a)+len(b) != 0 {
		t.Error(a, b)
	}
}

// TestNobodyStarves: while one waits for a lease to end, no new one is given out that he would have to wait for.
func TestNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, lockmgr.Config{})
		h, _, err := m.Open(t.Context(), smbOpen("a", causeway.ShareAll, causeway.CacheAll))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- m.Break(t.Context(), file, lockmgr.By{}, lockmgr.OpWrite, false) }()
		synctest.Wait()
		second := make(chan lockmgr.LeaseState, 1)
		go func() {
			_, l, err := m.Open(t.Context(), smbOpen("b", causeway.ShareAll, causeway.CacheAll))
			if err != nil {
				t.Error(err)
			}
			second <- l
		}()
		synctest.Wait()
		m.CloseOpen(file, h.Open)
		if err := <-done; err != nil {
			t.Error(err)
		}
		<-second
		if err := m.Break(t.Context(), file, lockmgr.By{}, lockmgr.OpRead, true); err != nil && err != causeway.ErrWouldBlock {
			t.Error(err)
		}
	})
}

func TestIDs(t *testing.T) {
	m, n := start(t, lockmgr.Config{}), start(t, lockmgr.Config{})
	seen := map[string]bool{}
	for range 1000 {
		for _, m := range []*lockmgr.Manager{m, n} {
			h, _, err := m.Open(t.Context(), smbOpen("a", causeway.ShareAll, 0))
			if err != nil {
				t.Fatal(err)
			}
			for _, half := range []string{string(h.Open[:8]), string(h.Open[8:])} {
				if seen[half] || half == strings.Repeat("\x00", 8) || half == strings.Repeat("\xff", 8) {
					t.Fatalf("%x", h.Open)
				}
				seen[half] = true
			}
		}
	}
}

func BenchmarkLock(b *testing.B) {
	m, _ := lockmgr.New(lockmgr.Config{})
	defer m.Close()
	o, r := owner("a", 1), exclusive(0, 10)
	for b.Loop() {
		m.Lock(file, o, r)
		m.Unlock(file, o, r.Span)
	}
}

func BenchmarkAdmit(b *testing.B) {
	for _, guarded := range []bool{false, true} {
		b.Run(fmt.Sprintf("leases=%v", guarded), func(b *testing.B) {
			m, _ := lockmgr.New(lockmgr.Config{})
			defer m.Close()
			by := lockmgr.By{}
			if guarded {
				h, _, _ := m.Open(b.Context(), smbOpen("a", causeway.ShareAll, causeway.CacheAll))
				by = lockmgr.By{Owner: h.Owner, Open: h.Open}
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Admit(b.Context(), file, by, causeway.Span{Length: 4096}, true, true, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	m, _ := lockmgr.New(lockmgr.Config{})
	defer m.Close()
	r := smbOpen("a", causeway.ShareAll, causeway.CacheAll)
	b.ReportAllocs()
	for b.Loop() {
		h, _, err := m.Open(b.Context(), r)
		if err != nil {
			b.Fatal(err)
		}
		m.CloseOpen(file, h.Open)
	}
}
