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
