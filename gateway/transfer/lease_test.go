package transfer

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/gateway"
)

// leased gives grants that last a second of a clock that stands still unless it is told to go on.
func leased(t *testing.T) (e *Engine, g *granting, s *doored, h causeway.Handle, pass func(time.Duration)) {
	var now atomic.Int64
	g = &granting{lease: func(x *causeway.Grant) { x.Lease = time.Second }}
	e, s, h = engine(t, g, Config{Now: func() time.Duration { return time.Duration(now.Load()) }})
	return e, g, s, h, func(d time.Duration) { now.Add(int64(d)) }
}

func code(_ gateway.WriteResult, err error) causeway.Code { return causeway.CodeOf(err) }

// TestLeaseEndsBeforeWrite: I/O under a grant that has ended asks for a new one, and is done.
func TestLeaseEndsBeforeWrite(t *testing.T) {
	e, g, _, h, pass := leased(t)
	for want := 1; want < 4; want++ {
		if got := code(e.Write(t.Context(), superuser, h, 0, []byte("x"), causeway.Unstable)); got != causeway.OK || g.asked != want {
			t.Fatal(got, g.asked)
		}
		pass(time.Second)
	}
}

// TestLeaseEndsDuringWrite: what was written when the grant had ended is not reported as done.
func TestLeaseEndsDuringWrite(t *testing.T) {
	for name, end := range map[string]func(e *Engine, pass func(time.Duration)){
		"its lease": func(_ *Engine, pass func(time.Duration)) { pass(time.Second) },
		"cut off":   func(e *Engine, _ func(time.Duration)) { e.CutOff() },
		"a later owner": func(e *Engine, _ func(time.Duration)) {
			v := (*e.volumes.Load())[1]
			tenure := v.tenure.Load()
			e.follow(v, causeway.Epoch{Revision: 2}, &tenure)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, _, s, h, pass := leased(t)
				s.shut = make(chan struct{})
				wrote := make(chan causeway.Code, 1)
				go func() {
					wrote <- code(e.Write(context.Background(), superuser, h, 0, []byte("late"), causeway.Unstable))
				}()
				<-s.waiting
				end(e, pass)
				close(s.shut)
				if got := <-wrote; got != causeway.ErrDelay {
					t.Error("answered with", got)
				}
			})
		})
	}
}

// TestCutOff: nothing that was granted before is used after this gateway was cut off, also what had no lease, since it was the owner.
func TestCutOff(t *testing.T) {
	g := &granting{}
	e, s, h := engine(t, g, Config{})
	if got := code(e.Write(t.Context(), superuser, h, 0, []byte("x"), causeway.Unstable)); got != causeway.OK {
		t.Fatal(got)
	}
	s.shut = make(chan struct{})
	wrote := make(chan causeway.Code, 1)
	go func() {
		wrote <- code(e.Write(context.Background(), superuser, h, 0, []byte("late"), causeway.Unstable))
	}()
	<-s.waiting
	e.CutOff()
	close(s.shut)
	if got := <-wrote; got != causeway.ErrDelay {
		t.Error("a write of an earlier life is answered with", got)
	}
	s.shut = nil
	asked := g.asked
	if got := code(e.Write(t.Context(), superuser, h, 0, []byte("y"), causeway.Unstable)); got != causeway.OK || g.asked != asked+1 {
		t.Error(got, g.asked-asked, "grants were asked for")
	}
}

// TestLateGrant: a grant that was asked for before this gateway was cut off, or recalled on its way, is not used.
func TestLateGrant(t *testing.T) {
	for name, meanwhile := range map[string]func(e *Engine, h causeway.Handle){
		"cut off": func(e *Engine, _ causeway.Handle) { e.CutOff() },
		"recalled": func(e *Engine, h causeway.Handle) {
			_, _ = e.Recall(context.Background(), &gateway.Recall{Handle: h, Seq: 1, Epoch: causeway.Epoch{Revision: 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var e *Engine
			var h causeway.Handle
			g := &granting{}
			g.lease = func(x *causeway.Grant) {
				if x.Seq == 1 {
					meanwhile(e, h)
				}
				x.Lease = time.Second
			}
			e, _, h = engine(t, g, Config{})
			if got := code(e.Write(t.Context(), superuser, h, 0, []byte("x"), causeway.Unstable)); got != causeway.OK || g.asked != 2 {
				t.Error(got, g.asked)
			}
		})
	}
}
