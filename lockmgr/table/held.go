package table

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"causeway"
)

// ObserveChanges makes the table tell all changes of what is held, see Changes.
func (t *Table) ObserveChanges() { t.observed = true }

// Changes returns what was taken (or became another state) and what is gone since the last call, in order. Whoever keeps the latest of
// each name has all that is held; and a copy of the table can apply them: AssertHeld for what is held, Forget for what is gone.
func (t *Table) Changes() []causeway.Held {
	c := t.changes
	t.changes = nil
	return c
}

func (t *Table) note(h causeway.Held) {
	if t.observed {
		t.changes = append(t.changes, h)
	}
}

func (t *Table) noteOpen(o *open) {
	t.serial++
	o.Serial = t.serial
	t.note(o.Held)
}

func (t *Table) noteLock(l *segment, gone bool) {
	if t.observed {
		h := l.heldLock()
		h.Gone = gone
		t.note(h)
	}
}

// noteHolds notes all that an owner has locked.
func (t *Table) noteHolds(own *owner) {
	for _, list := range own.holds {
		for _, s := range list {
			t.noteLock(s, false)
		}
	}
}

func (t *Table) noteLease(l *lease) {
	t.guard(l.object)
	t.serial++
	l.serial = t.serial
	h := l.held()
	h.Gone = t.leases[leaseName{l.id, l.object.handle}] != l
	t.note(h)
}

// heldLock returns the lock as a value. An open can hold equal locks: they are told apart by a number.
func (s *segment) heldLock() causeway.Held {
	h := causeway.Held{
		Kind: causeway.HeldLock, Handle: s.object.handle, Owner: s.owner.id, Gateway: s.owner.gateway, Serial: s.stamp,
		Span: s.span(), Exclusive: s.exclusive,
	}
	if s.owner.stacks() {
		binary.BigEndian.PutUint64(h.Open[:], s.stamp)
	}
	return h
}

func (l *lease) held() causeway.Held {
	return causeway.Held{
		Kind: causeway.HeldLease, Handle: l.object.handle, Owner: causeway.Owner{Kind: l.owner.Kind, Client: l.owner.Name},
		Gateway: l.gateway, Serial: l.serial, Lease: l.id, Caching: l.caching, Epoch: l.epoch, V2: l.v2, Parent: l.parent,
		Breaking: l.breaking, BreakTo: l.to,
	}
}

// HeldIn lists what is held in a volume, by clients of one gateway or of all if it is empty: opens, leases and locks, each kind in
// the order in which it was taken.
func (t *Table) HeldIn(v causeway.VolumeID, gateway string) []causeway.Held {
	var list []causeway.Held
	add := func(h causeway.Held) {
		if gateway == "" || h.Gateway == gateway {
			list = append(list, h)
		}
	}
	for h, obj := range t.objects {
		if h.Volume != v {
			continue
		}
		for _, o := range obj.opens {
			add(o.Held)
		}
		for _, l := range obj.leases {
			add(l.held())
		}
		visit := func(s *segment) bool {
			add(s.heldLock())
			return true
		}
		obj.shared.all(visit)
		obj.exclusive.all(visit)
	}
	slices.SortFunc(list, func(a, b causeway.Held) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Serial, b.Serial), compareHandles(a.Handle, b.Handle))
	})
	return list
}

// all visits all segments of a tree.
func (s *segment) all(visit func(*segment) bool) {
	if s != nil {
		s.left.all(visit)
		visit(s)
		s.right.all(visit)
	}
}

// AssertHeld takes back what an earlier owner of the volume had granted: OK, or the code of the conflict that it lost. Where two
// contradict each other, the later one stays: its holder could have it only because the other had given up his. So the result
// does not depend on the order. Asserting something twice is harmless.
func (t *Table) AssertHeld(h *causeway.Held) causeway.Code {
	t.serial = max(t.serial, h.Serial)
	delete(t.orphans, orphan{h.Handle.Volume, h.Gateway})
	switch h.Kind {
	case causeway.HeldOpen:
		return t.assertOpen(h)
	case causeway.HeldLease:
		return t.assertLease(h)
	case causeway.HeldLock:
		return t.assertLock(h)
	}
	return causeway.ErrInval
}

func (t *Table) assertOpen(h *causeway.Held) causeway.Code {
	if o := t.opens[h.Open]; o != nil {
		if o.Handle != h.Handle || o.Owner != h.Owner {
			return causeway.ErrInval
		}
		if o.Serial < h.Serial {
			lease := o.Lease
			o.Held = *h
			o.Lease = lease
			t.timeOpen(o)
		} else if o.Serial == h.Serial {
			o.Gateway = h.Gateway
		}
		return causeway.OK
	}
	obj := t.object(h.Handle)
	defer t.dropIfUnused(obj)
	var losers []*open
	for _, o := range obj.opens {
		if conflict(o.Access, o.Share, h.Access, h.Share) {
			if o.Serial > h.Serial {
				return causeway.ErrSharing
			}
			losers = append(losers, o)
		}
	}
	for _, o := range losers {
		t.lose(o)
	}
	o, code := t.addOpen(t.object(h.Handle), *h)
	if code != causeway.OK {
		return code
	}
	o.Serial, o.Disconnected = h.Serial, h.Disconnected
	if o.GUID != ([16]byte{}) {
		t.guids[o.GUID] = o
	}
	if h.Lease.Kind != causeway.LeaseNone {
		o.join(t.leaseFor(o.object, h.Lease, ClientOf(h.Owner)))
	}
	if obj = o.object; o.DeletePending && obj.doom == nil {
		obj.doom = &doom{dir: o.Dir, name: o.Name, by: o.Held}
	}
	t.timeOpen(o)
	t.note(o.Held)
	return causeway.OK
}

func (t *Table) timeOpen(o *open) {
	delete(t.timed, o)
	if o.Disconnected {
		o.left = int(o.KeepSeconds)
		t.timed[o] = struct{}{}
	}
}

// leaseFor returns the lease, without caching if it has not been asserted yet.
func (t *Table) leaseFor(obj *object, id causeway.LeaseID, c Client) *lease {
	l := t.leases[leaseName{id, obj.handle}]
	if l == nil {
		l = &lease{id: id, object: obj, owner: c}
		t.addLease(l)
	}
	return l
}

func (t *Table) assertLease(h *causeway.Held) causeway.Code {
	known := t.leases[leaseName{h.Lease, h.Handle}]
	if known == nil && h.Lease.Kind != causeway.Delegation {
		return causeway.ErrBadOpen // its opens come first
	}
	if known != nil && known.serial >= h.Serial {
		if known.serial == h.Serial {
			known.gateway = h.Gateway
		}
		return causeway.OK
	}
	obj := t.object(h.Handle)
	for _, other := range obj.leases {
		if other.id != h.Lease && (h.Caching&causeway.CacheWrite != 0 && other.caching != 0 || other.caching&causeway.CacheWrite != 0 && h.Caching != 0) {
			if other.serial > h.Serial {
				return causeway.ErrLocked
			}
			t.endBreak(other, 0)
		}
	}
	l := t.leaseFor(obj, h.Lease, ClientOf(h.Owner))
	l.gateway, l.epoch, l.v2, l.parent, l.serial = h.Gateway, h.Epoch, h.V2, h.Parent, h.Serial
	l.caching = h.Caching
	if l.breaking = h.Breaking; l.breaking {
		l.to, l.required, l.left = h.BreakTo, h.BreakTo, t.limits.BreakTicks
		t.breaking[l] = struct{}{}
	}
	t.guard(obj)
	t.note(l.held())
	return causeway.OK
}

func (t *Table) assertLock(h *causeway.Held) causeway.Code {
	want := rangeOf(h.Span, h.Exclusive)
	for {
		obj, own := t.enter(h.Handle, h.Owner)
		for _, s := range own.holds[obj] {
			if s.stamp == h.Serial && s.extent == want {
				own.gateway = h.Gateway
				return causeway.OK
			}
		}
		var by *segment
		obj.eachConflict(own, want, func(s *segment) bool { by = s; return false })
		if by == nil {
			break
		}
		if by.stamp > h.Serial {
			t.leave(obj, own)
			return causeway.ErrLocked
		}
		t.leave(obj, own)
		if by.owner.stacks() {
			t.unstackOne(by)
		} else {
			t.Unlock(h.Handle, by.owner.id, want.span())
		}
	}
	obj, own := t.enter(h.Handle, h.Owner)
	t.asserted = h.Serial
	defer func() { t.asserted = 0 }()
	if own.gateway = h.Gateway; !own.stacks() {
		_, code := t.lock(h.Handle, h.Owner, Request{Span: h.Span, Exclusive: h.Exclusive}, h.Gateway)
		return code
	}
	// Its own locks do not stand against it: it may have taken the shared one after the exclusive one.
	defer t.leave(obj, own)
	return t.stack(obj, own, want)
}

// Forget applies a change that says that something is gone, in a copy of the table.
func (t *Table) Forget(h *causeway.Held) {
	switch h.Kind {
	case causeway.HeldOpen:
		t.Close(h.Handle, h.Open)
	case causeway.HeldLease:
		if l := t.leases[leaseName{h.Lease, h.Handle}]; l != nil && len(l.opens) == 0 {
			t.dropLease(l)
		}
	case causeway.HeldLock:
		t.forgetLock(h)
	}
}

func (t *Table) forgetLock(h *causeway.Held) {
	own, obj := t.owners[h.Owner], t.objects[h.Handle]
	if own == nil || obj == nil || !own.stacks() {
		t.Unlock(h.Handle, h.Owner, h.Span)
		return
	}
	for _, s := range own.holds[obj] {
		if s.stamp == h.Serial {
			t.unstackOne(s)
			return
		}
	}
}

// Drop forgets a volume whose ownership left: nobody is told, nothing is granted.
func (t *Table) Drop(v causeway.VolumeID) {
	waiting := t.effects
	for _, o := range slices.Collect(maps.Values(t.opens)) {
		if o.Handle.Volume == v {
			o.DeleteOnClose = false
			o.object.doom = nil
			t.drop(o)
		}
	}
	for name, l := range t.leases {
		if name.Volume == v {
			t.dropLease(l)
		}
	}
	t.releaseWhere(v, func(*owner) bool { return true })
	for h, obj := range t.objects {
		if h.Volume == v {
			obj.doom, obj.claims = nil, nil
			t.dropIfUnused(obj)
		}
	}
	for of := range t.orphans {
		if of.volume == v {
			delete(t.orphans, of)
		}
	}
	delete(t.graces, v)
	t.effects = slices.DeleteFunc(t.effects[len(waiting):], func(e Effect) bool { return e.Kind != Unblocked && e.Kind != Unguarded })
	t.effects = append(waiting, t.effects...)
}

// releaseWhere drops the locks and queued requests of some owners in one volume.
func (t *Table) releaseWhere(v causeway.VolumeID, meant func(*owner) bool) {
	touched := make(map[*object]bool)
	for _, own := range t.owners {
		if !meant(own) {
			continue
		}
		for _, w := range slices.Clone(own.waiters) {
			if w.object.handle.Volume == v {
				touched[w.object] = true
				t.dequeue(w)
			}
		}
		for obj := range own.holds {
			if obj.handle.Volume == v {
				touched[obj] = true
				t.dropAll(obj, own)
			}
		}
		t.dropIfIdle(own)
	}
	for _, obj := range slices.SortedFunc(maps.Keys(touched), func(a, b *object) int { return compareHandles(a.handle, b.handle) }) {
		t.wake(obj, extent{0, causeway.ToEOF, false})
		t.dropIfUnused(obj)
	}
}
