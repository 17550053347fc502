package depth

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestGraph walks the declared call graph: its longest path has Max works, and there is no circle.
func TestGraph(t *testing.T) {
	var walk func(w Work, path map[Work]bool) int
	walk = func(w Work, path map[Work]bool) int {
		callees, declared := Calls[w]
		if !declared {
			t.Fatalf("%s is called and not declared", w)
		}
		if path[w] {
			t.Fatalf("a circle through %s", w)
		}
		path[w] = true
		defer delete(path, w)
		longest := 0
		for _, c := range callees {
			longest = max(longest, walk(c, path))
		}
		return longest + 1
	}
	if n := walk(Front, map[Work]bool{}); n != Max {
		t.Errorf("the longest path has %d works, and there are slots for %d", n, Max)
	}
}

func pools(t *testing.T, cfg Config) *Pools {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Pools) must(t *testing.T, depth, n int) Slots {
	t.Helper()
	s, err := p.Take(t.Context(), depth, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOwnThenSpareThenQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pools(t, Config{Reserved: [Max]int{2, 2, 2, 2}, Unreserved: 1})
		a, b := p.must(t, 2, 2), p.must(t, 2, 1)
		got := make(chan Slots, 3)
		for _, n := range []int{2, 1} {
			go func() {
				s, err := p.Take(t.Context(), 2, n)
				if err != nil {
					t.Error(err)
				}
				got <- s
			}()
			synctest.Wait()
		}
		deep := p.must(t, 3, 2) // another depth does not notice
		if s := p.Stats()[1]; s.InUse != 3 || s.Waiting != 2 || s.Borrowed != 1 || s.Queued != 2 {
			t.Errorf("%+v", s)
		}
		b.Release()
		synctest.Wait()
		if len(got) != 0 {
			t.Error("one slot is free, and the first in the queue wants two; nobody passes him")
		}
		a.Release()
		synctest.Wait()
		if len(got) != 2 {
			t.Errorf("%d have slots", len(got))
		}
		deep.Release()
		(<-got).Release()
		(<-got).Release()
		for i, s := range p.Stats() {
			if s.InUse != 0 || s.Waiting != 0 || p.levels[i].free != 2 {
				t.Errorf("depth %d: %+v", i+1, s)
			}
		}
		if p.spare != 1 {
			t.Errorf("%d unreserved slots are left", p.spare)
		}
	})
}

func TestGivingUpInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pools(t, Config{Reserved: [Max]int{2, 2, 2, 2}, Unreserved: -1})
		held := p.must(t, 1, 1)
		ctx, cancel := context.WithCancel(t.Context())
		failed, got := make(chan error, 1), make(chan Slots, 1)
		go func() {
			_, err := p.Take(ctx, 1, 2)
			failed <- err
		}()
		synctest.Wait()
		go func() { got <- p.must(t, 1, 1) }()
		synctest.Wait()
		if len(got) > 0 {
			t.Error("he passed the first")
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		(<-got).Release()
		held.Release()
		if s := p.Stats()[0]; s.InUse != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRefused(t *testing.T) {
	p := pools(t, Config{Reserved: [Max]int{1, 1, 1, 1}})
	if _, err := p.Take(t.Context(), Max+1, 1); !errors.Is(err, ErrTooDeep) {
		t.Error(err)
	}
	if _, err := p.Take(t.Context(), 1, 2); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	for _, cfg := range []Config{{Reserved: [Max]int{-1}}, {Unreserved: -2}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v", cfg)
		}
	}
}

// TestValidatedTwice: what was set stays so.
func TestValidatedTwice(t *testing.T) {
	cfg := Config{Unreserved: -1}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if p := pools(t, cfg); p.spare != 0 {
		t.Errorf("%d unreserved slots", p.spare)
	}
}

// TestCircle: two gateways whose requests recall from each other. With one pool, all of whose slots are taken by requests that
// wait for recalls at the other, nothing moves; with slots by depth everything does.
func TestCircle(t *testing.T) {
	for _, together := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			const each = 4
			cfg := Config{Reserved: [Max]int{1, 1, 1, 1}, Unreserved: -1, Together: together}
			a, b := pools(t, cfg), pools(t, cfg)
			done := make(chan struct{}, 2*each)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			start := make(chan struct{})
			request := func(here, there *Pools) {
				defer func() { done <- struct{}{} }()
				s, err := here.Take(ctx, 2, 1)
				if err != nil {
					return
				}
				defer s.Release()
				<-start
				r, err := there.Take(ctx, 3, 1)
				if err == nil {
					r.Release()
				}
			}
			for range each {
				go request(a, b)
				go request(b, a)
			}
			synctest.Wait()
			close(start)
			synctest.Wait()
			if together && len(done) != 0 {
				t.Errorf("%d of the requests got through: nothing was provoked", len(done))
			}
			if !together && len(done) != 2*each {
				t.Errorf("%d of %d requests got through", len(done), 2*each)
			}
			cancel()
			synctest.Wait()
		})
	}
}

// TestTryTake: a slot is taken only where that keeps nobody waiting, and none is lost.
func TestTryTake(t *testing.T) { synctest.Test(t, tryTake) }

func tryTake(t *testing.T) {
	p, err := New(Config{Reserved: [Max]int{1, 1, 1, 1}, Unreserved: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.TryTake(Max + 1); ok {
		t.Error("a slot of a depth that there is not")
	}
	own, ok := p.TryTake(2)
	spare, ok2 := p.TryTake(2)
	if _, third := p.TryTake(2); !ok || !ok2 || third {
		t.Fatal(ok, ok2, third)
	}
	waits := make(chan Slots)
	go func() {
		s, _ := p.Take(context.Background(), 2, 1)
		waits <- s
	}()
	synctest.Wait()
	own.Release()
	got := <-waits
	if _, ok := p.TryTake(2); ok {
		t.Error("a slot that another one has")
	}
	got.Release()
	spare.Release()
	if s := p.Stats()[1]; s.InUse != 0 {
		t.Errorf("%+v", s)
	}
}
