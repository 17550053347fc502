package gate

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitIsForThoseInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, waited := &Gate{}, atomic.Bool{}
		first := g.Enter()
		go func() {
			if err := g.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			waited.Store(true)
		}()
		time.Sleep(time.Minute)
		if waited.Load() {
			t.Error("it did not wait")
		}
		second := g.Enter() // while it waits for the first phase
		first.Leave()
		time.Sleep(time.Minute)
		third := g.Enter() // while it waits for the second one
		second.Leave()
		time.Sleep(time.Minute)
		if !waited.Load() {
			t.Error("it waits for one who came later")
		}
		third.Leave()
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	g := &Gate{}
	inside := g.Enter()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	inside.Leave()
	if err := g.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNobodyIsLeft takes things out of use while many use them.
func TestNobodyIsLeft(t *testing.T) {
	type thing struct{ closed atomic.Bool }
	g, now, stop, users := &Gate{}, atomic.Pointer[thing]{}, atomic.Bool{}, sync.WaitGroup{}
	now.Store(&thing{})
	uses := atomic.Int64{}
	for range 3 {
		users.Go(func() {
			for !stop.Load() {
				p := g.Enter()
				if now.Load().closed.Load() {
					t.Error("used after it was closed")
				}
				uses.Add(1)
				p.Leave()
				runtime.Gosched()
			}
		})
	}
	for range 50 {
		before := uses.Load()
		old := now.Swap(&thing{})
		if err := g.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		old.closed.Store(true)
		for uses.Load() == before { // let them use the new one
			time.Sleep(10 * time.Microsecond)
		}
	}
	stop.Store(true)
	users.Wait()
}

func BenchmarkPass(b *testing.B) {
	g := &Gate{}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Enter().Leave()
		}
	})
}
