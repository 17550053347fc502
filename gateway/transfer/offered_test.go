package transfer

import (
	"context"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
)

// unasked gives an engine a grant of a file that it did not ask for, after what happens between question and answer.
func unasked(e *Engine, h causeway.Handle, seq uint64, meanwhile func()) {
	take := e.Expect(h.Volume)
	meanwhile()
	take(&causeway.Grant{Handle: h, Mode: causeway.IOReadWrite, Span: whole, Seq: seq, Lease: 3 * time.Second, Epoch: causeway.Epoch{Revision: 1}})
}

// TestUnasked: a grant that came unasked is used instead of a question, unless it has ended.
func TestUnasked(t *testing.T) {
	now := time.Hour
	recall := func(t *testing.T, e *Engine, h causeway.Handle, seq uint64, keep causeway.IOMode) {
		if _, err := e.Recall(context.Background(), &gateway.Recall{Handle: h, Seq: seq, Mode: keep, Epoch: causeway.Epoch{Revision: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		before, after func(t *testing.T, e *Engine, h causeway.Handle)
		asked         int
	}{
		"used":                    {asked: 0},
		"recalled":                {after: func(t *testing.T, e *Engine, h causeway.Handle) { recall(t, e, h, 7, 0) }, asked: 1},
		"recalled to read":        {after: func(t *testing.T, e *Engine, h causeway.Handle) { recall(t, e, h, 7, causeway.IORead) }, asked: 1},
		"an older recall":         {after: func(t *testing.T, e *Engine, h causeway.Handle) { recall(t, e, h, 6, 0) }, asked: 0},
		"recalled on its way":     {before: func(t *testing.T, e *Engine, h causeway.Handle) { recall(t, e, h, 7, 0) }, asked: 1},
		"an older one on its way": {before: func(t *testing.T, e *Engine, h causeway.Handle) { recall(t, e, h, 6, 0) }, asked: 0},
		"too late":                {after: func(*testing.T, *Engine, causeway.Handle) { now += 2900 * time.Millisecond }, asked: 1},
		"held up":                 {before: func(*testing.T, *Engine, causeway.Handle) { now += 2900 * time.Millisecond }, asked: 1},
		"cut off":                 {after: func(_ *testing.T, e *Engine, _ causeway.Handle) { e.CutOff() }, asked: 1},
		"cut off on its way":      {before: func(_ *testing.T, e *Engine, _ causeway.Handle) { e.CutOff() }, asked: 1},
		"new settings":            {after: func(_ *testing.T, e *Engine, h causeway.Handle) { e.Regrant(h.Volume) }, asked: 1},
		"not reasserted": {after: func(t *testing.T, e *Engine, h causeway.Handle) {
			if held, err := e.Reassert(context.Background(), h.Volume, causeway.Epoch{Revision: 1}); err != nil || len(held) > 0 {
				t.Error(held, err)
			}
		}, asked: 1},
		"of an earlier owner": {before: func(t *testing.T, e *Engine, h causeway.Handle) {
			if _, err := e.Reassert(context.Background(), h.Volume, causeway.Epoch{Revision: 2}); err != nil {
				t.Error(err)
			}
		}, asked: 1},
		"held already": {before: func(t *testing.T, e *Engine, h causeway.Handle) {
			if _, err := e.Write(context.Background(), superuser, h, 0, []byte("x"), causeway.Unstable); err != nil {
				t.Error(err)
			}
		}, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := &granting{seq: 10, lease: func(x *causeway.Grant) { x.Lease, x.Epoch.Revision = 3*time.Second, 2 }}
			if name == "held already" {
				g.lease = func(x *causeway.Grant) { x.Lease = 3 * time.Second }
			}
			e, _, h := engine(t, g, Config{Now: func() time.Duration { return now }})
			unasked(e, h, 7, func() {
				if c.before != nil {
					c.before(t, e, h)
				}
			})
			if c.after != nil {
				c.after(t, e, h)
			}
			if _, err := e.Write(t.Context(), superuser, h, 0, []byte("data"), causeway.Unstable); err != nil {
				t.Fatal(err)
			}
			if g.asked != c.asked {
				t.Errorf("asked %d times, not %d", g.asked, c.asked)
			}
		})
	}
}

// TestUnaskedIsBounded: what nobody uses takes a bounded place, which later ones get when it has ended.
func TestUnaskedIsBounded(t *testing.T) {
	now := time.Hour
	g := &granting{lease: func(x *causeway.Grant) { x.Lease = 3 * time.Second }}
	e, _, h := engine(t, g, Config{Now: func() time.Duration { return now }})
	fill := func() (n int) {
		for i := range 4 * shards * maxOffered {
			other := h
			other.Object[20], other.Object[21] = byte(i), byte(i>>8)
			unasked(e, other, 7, func() {})
		}
		for i := range e.cache.shards {
			if len(e.cache.shards[i].offers) > maxOffered {
				t.Error(len(e.cache.shards[i].offers), "in one shard")
			}
			n += len(e.cache.shards[i].offers)
		}
		return n
	}
	if n := fill(); n < shards*maxOffered/2 {
		t.Error("only", n, "are kept")
	}
	now += 5 * time.Second
	unasked(e, h, 7, func() {})
	if _, err := e.Write(t.Context(), superuser, h, 0, []byte("data"), causeway.Unstable); err != nil || g.asked != 0 {
		t.Error("no room for a new one:", g.asked, err)
	}
}
