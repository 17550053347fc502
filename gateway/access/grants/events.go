package grants

import (
	"slices"
	"time"

	"causeway"
)

// Ask asks for a holding. It returns OK if the holding was given; ErrBlocked with a ticket if others must give something up
// first: an effect follows; with NoWait ErrWouldBlock; ErrDelay if too many wait.
func (t *Table) Ask(now time.Duration, a Ask) (Given, Ticket, causeway.Code) {
	t.expire(now)
	o := t.object(a.Handle)
	defer t.tidy(o)
	t.widen(o, &a)
	r := &request{Ask: a, object: o}
	if t.may(o, r) && !(a.First && len(o.held) > 0) {
		return t.give(now, o, r), 0, causeway.OK
	}
	switch {
	case a.NoWait:
		return Given{}, 0, causeway.ErrWouldBlock
	case len(o.queue) >= t.limits.Waiting:
		return Given{}, 0, causeway.ErrDelay
	}
	t.wait(o, r)
	return Given{}, r.ticket, causeway.ErrBlocked
}

// Change begins a change of an object that the owner makes, before which others must give up bytes beyond keep, and leases.
// Until Changed nothing of that is given again. OK with a ticket: it may be made at once; ErrBlocked with a ticket: an effect
// follows; ErrDelay if too many wait.
func (t *Table) Change(now time.Duration, h causeway.Handle, keep causeway.IOMode, leases causeway.Leases) (Ticket, causeway.Code) {
	t.expire(now)
	o := t.object(h)
	defer t.tidy(o)
	r := &request{Ask: Ask{Handle: h, Leases: leases}, object: o, change: true, keep: keep}
	if !t.may(o, r) {
		if len(o.queue) >= t.limits.Waiting {
			return 0, causeway.ErrDelay
		}
		t.wait(o, r)
		return r.ticket, causeway.ErrBlocked
	}
	t.number(r)
	o.changes = append(o.changes, r)
	return r.ticket, causeway.OK
}

// Changed ends a change, or takes back one that waits.
func (t *Table) Changed(now time.Duration, k Ticket) { t.Cancel(now, k) }

// Cancel takes back what waits. What was given meanwhile stays given.
func (t *Table) Cancel(now time.Duration, k Ticket) {
	t.expire(now)
	r := t.tickets[k]
	if r == nil {
		return
	}
	delete(t.tickets, k)
	o := r.object
	same := func(x *request) bool { return x == r }
	if ran := slices.ContainsFunc(o.changes, same); ran {
		o.changes = slices.DeleteFunc(o.changes, same)
		t.touch(now, o)
	}
	o.queue = slices.DeleteFunc(o.queue, same)
	t.serve(now, o)
}

// Recalled tells that a holder gave up what the recall with this number told it to. The answer to a recall that was
// followed by one for more counts for nothing.
func (t *Table) Recalled(now time.Duration, h causeway.Handle, holder string, seq uint64) {
	if o := t.objects[h]; o != nil {
		for _, x := range slices.Clone(o.held) {
			if x.holder == holder && x.recall != nil && x.recall.seq == seq {
				t.shrink(x, x.recall.mode, x.recall.leases)
			}
		}
		t.serve(now, o)
	}
	t.expire(now)
}

// Return takes back what a holder has no use for any more: bytes with a mode, leases that are named, unless they are of a later grant.
func (t *Table) Return(now time.Duration, h causeway.Handle, holder string, mode causeway.IOMode, leases causeway.Leases, seq uint64) {
	if o := t.objects[h]; o != nil {
		for _, x := range slices.Clone(o.held) {
			if x.holder != holder || x.seq > seq {
				continue
			}
			if x.mode != 0 && mode != 0 {
				t.drop(x)
			} else if x.mode == 0 {
				t.shrink(x, causeway.IOReadWrite, leases)
			}
		}
		t.serve(now, o)
	}
	t.expire(now)
}

// Renew lengthens what a holder holds; false if it does not hold all of it, or must give it up.
func (t *Table) Renew(now time.Duration, h causeway.Handle, holder string, mode causeway.IOMode, leases causeway.Leases, seq uint64) bool {
	t.expire(now)
	o := t.objects[h]
	if o == nil {
		return false
	}
	bytes, lease := mode == 0, leases == 0
	for _, x := range o.held {
		if x.holder != holder || x.seq != seq || x.recall != nil || x.fence != 0 {
			continue
		}
		if x.mode != 0 && mode != 0 && x.mode >= mode {
			bytes = true
			t.lengthen(now, x)
		}
		if x.mode == 0 && leases != 0 && leases&^x.leases == 0 {
			lease = true
			t.lengthen(now, x)
		}
	}
	return bytes && lease
}

// Holds reports whether a holder has the right to bytes by this grant.
func (t *Table) Holds(now time.Duration, h causeway.Handle, holder string, seq uint64) bool {
	t.expire(now)
	if o := t.objects[h]; o != nil {
		for _, x := range o.held {
			if x.holder == holder && x.mode != 0 && x.seq == seq && x.fence == 0 {
				return true
			}
		}
	}
	return false
}

// Assert takes over what a gateway held under an earlier owner, and reports whether it may keep it. All must be asserted before
// anything is asked for.
func (t *Table) Assert(now time.Duration, a Ask, seq uint64) bool {
	t.expire(now)
	t.seq = max(t.seq, seq)
	o := t.object(a.Handle)
	defer t.tidy(o)
	r := &request{Ask: a, object: o}
	for _, x := range o.held {
		if _, bad := t.conflict(r, x); bad || a.Leases&causeway.LeaseAttr != 0 && x.holder != a.Holder && x.mode == causeway.IOReadWrite {
			return false
		}
	}
	if a.Mode != 0 {
		t.hold(now, o, r, a.Mode, 0, seq)
	}
	if a.Leases != 0 {
		t.hold(now, o, r, 0, a.Leases, seq)
	}
	return true
}

// RecallAll begins to recall everything that gateways other than Local hold, for new settings.
func (t *Table) RecallAll(now time.Duration) {
	t.expire(now)
	for _, o := range t.objects {
		for _, x := range o.held {
			if x.holder != Local {
				t.tell(x, recall{0, 0, causeway.LeaseAttr | causeway.LeaseNames})
			}
		}
	}
}

// RecallObject begins to recall all that other gateways hold of an object that is gone. Nobody waits for it.
func (t *Table) RecallObject(now time.Duration, h causeway.Handle) {
	t.expire(now)
	if o := t.objects[h]; o != nil {
		for _, x := range o.held {
			if x.holder != Local {
				t.tell(x, recall{0, 0, causeway.LeaseAttr | causeway.LeaseNames})
			}
		}
	}
}

// Lost forgets a holder that certainly does nothing any more, as far as can be told without a fence.
func (t *Table) Lost(now time.Duration, holder string) {
	for _, o := range t.objects {
		for _, x := range slices.Clone(o.held) {
			if x.holder == holder {
				t.endByTime(now, x)
			}
		}
		t.serve(now, o)
	}
	t.expire(now)
}

// Tick passes time.
func (t *Table) Tick(now time.Duration) { t.expire(now) }

// Next returns when time next changes anything for those who wait; false if nobody waits for time.
func (t *Table) Next() (at time.Duration, ok bool) {
	for e := t.told.Front(); e != nil; e = e.Next() {
		if x := e.Value.(*holding); x.holder != Local && x.fence == 0 && (!ok || x.ends < at) {
			at, ok = x.ends, true
		}
	}
	return at, ok
}
