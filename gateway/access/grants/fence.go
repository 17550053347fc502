package grants

import (
	"slices"
	"time"

	"causeway"
)

// endByTime ends a holding whose lease is over: at once, unless it must be fenced first.
func (t *Table) endByTime(now time.Duration, x *holding) {
	if !t.rules.Fence || x.mode != causeway.IOReadWrite || x.holder == Local {
		t.drop(x)
		t.serve(now, x.object)
		return
	}
	if x.place != nil {
		t.idle.Remove(x.place)
		x.place = nil
	}
	t.unspare(x)
	if x.fence == 0 {
		t.seq++
		x.fence = t.seq
		t.askFence(x.holder, x.fence)
	}
}

// askFence asks for a fence, or leaves it to the end of the one that is under way.
func (t *Table) askFence(holder string, seq uint64) {
	if !t.fencing[holder] {
		t.fencing[holder] = true
		t.effects = append(t.effects, Effect{Kind: Fence, Holder: holder, Seq: seq})
	}
}

// Fenced tells that the storage refuses what a holder was given before the effect Fence of this number.
func (t *Table) Fenced(now time.Duration, holder string, seq uint64) {
	delete(t.fencing, holder)
	for _, o := range t.objects {
		for _, x := range slices.Clone(o.held) {
			switch {
			case x.holder != holder || x.fence == 0:
			case x.fence <= seq:
				t.drop(x)
			default:
				t.askFence(holder, t.seq)
			}
		}
		t.serve(now, o)
	}
	t.expire(now)
}

// Recalling reports whether the answer to a recall counts: what it was for is held, and has to be given up. That may have become more
// since; then the answer ends nothing, but what it says was written was written under this right.
func (t *Table) Recalling(now time.Duration, h causeway.Handle, holder string, seq uint64) bool {
	t.expire(now)
	if o := t.objects[h]; o != nil {
		for _, x := range o.held {
			if x.holder == holder && x.recall != nil && x.born < seq && seq <= x.recall.seq && x.fence == 0 {
				return true
			}
		}
	}
	return false
}

// widen makes an ask of who holds bytes already one for all that he will hold then.
func (t *Table) widen(o *object, a *Ask) {
	if !t.rules.Apart || a.Mode == 0 {
		return
	}
	for _, x := range o.held {
		if x.holder == a.Holder && x.mode != 0 && x.recall == nil && x.fence == 0 {
			a.Span, a.Mode = sum(x.span, a.Span), max(x.mode, a.Mode)
		}
	}
}

// span returns what an ask for bytes gets: all, where that is in nobody's way.
func (t *Table) span(o *object, r *request, mode causeway.IOMode) causeway.Span {
	if !t.rules.Apart || mode == 0 || len(o.queue) > 0 || len(o.changes) > 0 {
		return r.Span
	}
	all := *r
	all.Span, all.Mode = causeway.Span{Length: causeway.ToEOF}, mode
	for _, x := range o.held {
		if _, bad := t.conflict(&all, x); bad {
			return r.Span
		}
	}
	return all.Span
}
