package grants

import (
	"slices"
	"time"

	"causeway"
)

// may reports whether nothing stands in the way of a request.
func (t *Table) may(o *object, r *request) bool {
	for _, x := range o.held {
		if _, bad := t.conflict(r, x); bad {
			return false
		}
		if x.recall != nil && x.holder == r.Holder && x.mode != 0 && r.Mode != 0 && !r.change {
			return false // what it was told to give up may be in use until it answers
		}
		if x.fence != 0 && x.holder == r.Holder && x.mode != 0 && r.Mode != 0 && !r.change {
			return false
		}
	}
	for _, c := range o.changes {
		if t.excludes(c, r) {
			return false
		}
	}
	for _, w := range o.queue {
		if w == r {
			break
		}
		if t.excludes(w, r) {
			return false
		}
	}
	return true
}

func (t *Table) number(r *request) {
	t.ticket++
	r.ticket = t.ticket
	t.tickets[r.ticket] = r
}

// wait queues a request, and recalls what is in its way.
func (t *Table) wait(o *object, r *request) {
	t.number(r)
	o.queue = append(o.queue, r)
	t.clear(o, r)
}

// clear recalls what is in a request's way.
func (t *Table) clear(o *object, r *request) {
	for _, x := range o.held {
		if end, bad := t.conflict(r, x); bad {
			t.tell(x, end)
		}
	}
}

// tell recalls a holding, unless it has been told as much already.
func (t *Table) tell(x *holding, end recall) {
	if x.fence != 0 {
		return // it ends without an answer
	}
	if x.mode != 0 {
		end.leases = 0
	} else {
		end.mode = causeway.IOReadWrite
	}
	if was := x.recall; was != nil {
		if was.mode <= end.mode && end.leases&^was.leases == 0 {
			return
		}
		end.mode, end.leases = min(end.mode, was.mode), end.leases|was.leases
	}
	t.seq++
	end.seq = t.seq // an answer to an earlier recall, which asked for less, is not taken for one to this
	x.recall = &end
	t.unspare(x)
	if x.told == nil {
		x.told = t.told.PushBack(x)
	}
	t.effects = append(t.effects, Effect{Kind: Recall, Handle: x.object.handle, Holder: x.holder, Seq: end.seq, Mode: end.mode, Leases: end.leases})
}

// serve gives to those who wait whatever they can have now, in their order.
func (t *Table) serve(now time.Duration, o *object) {
	for again := true; again; {
		again = false
		for i, r := range o.queue {
			if !t.may(o, r) {
				t.clear(o, r)
				continue
			}
			o.queue = slices.Delete(o.queue, i, i+1)
			if r.change {
				o.changes = append(o.changes, r)
				t.effects = append(t.effects, Effect{Kind: Ready, Handle: o.handle, Ticket: r.ticket})
			} else {
				delete(t.tickets, r.ticket)
				t.effects = append(t.effects, Effect{Kind: Granted, Handle: o.handle, Holder: r.Holder, Ticket: r.ticket, Given: t.give(now, o, r)})
			}
			again = true
			break
		}
	}
	t.tidy(o)
}

// give makes a request's holdings.
func (t *Table) give(now time.Duration, o *object, r *request) Given {
	g := Given{Mode: t.mode(o, r), Leases: t.leases(o, r)}
	g.Span = t.span(o, r, g.Mode)
	r.Span = g.Span
	t.seq++
	g.Seq = t.seq
	if g.Mode == causeway.IOReadWrite {
		g.Leases &^= causeway.LeaseAttr // what its holder writes would make them untrue
	}
	if g.Mode != 0 {
		t.hold(now, o, r, g.Mode, 0, g.Seq)
	}
	if g.Leases != 0 {
		t.hold(now, o, r, 0, g.Leases, g.Seq)
	}
	return g
}

// hold adds to what a holder has, in place of what it had of that kind: the sum of both.
func (t *Table) hold(now time.Duration, o *object, r *request, mode causeway.IOMode, leases causeway.Leases, seq uint64) {
	i := slices.IndexFunc(o.held, func(x *holding) bool { return x.holder == r.Holder && (x.mode != 0) == (mode != 0) })
	var x *holding
	if i < 0 {
		x = &holding{object: o, holder: r.Holder, span: r.Span, born: seq}
		o.held = append(o.held, x)
		if x.holder != Local {
			t.foreign++
		}
	} else {
		x = o.held[i]
		x.span = sum(x.span, r.Span)
	}
	t.setMode(x, max(x.mode, mode))
	x.leases, x.seq = x.leases|leases, seq
	t.lengthen(now, x)
	t.bound(x)
}

// setMode keeps count of who writes.
func (t *Table) setMode(x *holding, mode causeway.IOMode) {
	was, is := x.mode == causeway.IOReadWrite, mode == causeway.IOReadWrite
	x.mode = mode
	switch {
	case x.holder == Local || was == is:
	case is:
		t.writers++
	default:
		t.writers--
		t.effects = append(t.effects, Effect{Kind: Ended, Handle: x.object.handle, Holder: x.holder})
	}
}

// sum returns the least span that covers both.
func sum(a, b causeway.Span) causeway.Span {
	start, end := min(a.Offset, b.Offset), max(a.End(), b.End())
	if end == causeway.ToEOF {
		return causeway.Span{Offset: start, Length: causeway.ToEOF}
	}
	return causeway.Span{Offset: start, Length: end - start}
}

// lengthen counts a holding's lease from now.
func (t *Table) lengthen(now time.Duration, x *holding) {
	if x.holder == Local {
		return
	}
	x.ends = now + t.limits.Lease
	if x.place == nil {
		x.place = t.idle.PushBack(x)
	} else {
		t.idle.MoveToBack(x.place)
	}
	t.unspare(x)
	t.keep(x)
}

// keep makes a holding one of those that can be recalled when there are too many; unspare undoes it.
func (t *Table) keep(x *holding) {
	if x.spare == nil && x.recall == nil && x.fence == 0 && x.holder != Local {
		x.spare = t.spare.PushBack(x)
	}
}

func (t *Table) unspare(x *holding) {
	if x.spare != nil {
		t.spare.Remove(x.spare)
		x.spare = nil
	}
}

func (t *Table) full() bool { return t.foreign >= t.limits.Holdings+t.limits.Holdings/8 }

// bound recalls those that were unused for longest when there are too many. Those that are recalled already are not looked at again: a holder that
// does not answer has ever more of them.
func (t *Table) bound(but *holding) {
	for t.spare.Len() > t.limits.Holdings {
		x := t.spare.Front().Value.(*holding)
		if x == but {
			return
		}
		t.tell(x, recall{0, 0, causeway.LeaseAttr | causeway.LeaseNames})
	}
}

func (t *Table) forgive(x *holding) {
	if x.recall != nil {
		x.recall = nil
		t.told.Remove(x.told)
		x.told = nil
	}
}

// shrink takes from a holding what its holder gave up.
func (t *Table) shrink(x *holding, mode causeway.IOMode, leases causeway.Leases) {
	t.forgive(x)
	bytes := x.mode != 0
	t.setMode(x, min(x.mode, mode))
	x.leases &^= leases
	if bytes && x.mode == 0 || !bytes && x.leases == 0 {
		t.drop(x)
		return
	}
	t.keep(x)
}

func (t *Table) drop(x *holding) {
	t.forgive(x)
	t.unspare(x)
	t.setMode(x, 0)
	o := x.object
	o.held = slices.DeleteFunc(o.held, func(y *holding) bool { return y == x })
	if x.place != nil {
		t.idle.Remove(x.place)
	}
	if x.holder != Local {
		t.foreign--
	}
}

// touch remembers when an object changed last.
func (t *Table) touch(now time.Duration, o *object) {
	o.changed = now
	switch {
	case !t.rules.Exclusive:
	case o.recent == nil:
		o.recent = t.recent.PushBack(o)
	default:
		t.recent.MoveToBack(o.recent)
	}
}

// expire ends what time has ended.
func (t *Table) expire(now time.Duration) {
	for e := t.recent.Front(); e != nil; e = t.recent.Front() {
		o := e.Value.(*object)
		if now-o.changed < t.limits.Quiet && t.recent.Len() <= t.limits.Holdings {
			break
		}
		t.recent.Remove(e)
		o.recent = nil
		t.tidy(o)
	}
	for e := t.idle.Front(); e != nil; e = t.idle.Front() {
		x := e.Value.(*holding)
		if x.ends > now {
			break
		}
		t.endByTime(now, x)
	}
}
