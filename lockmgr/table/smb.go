package table

import (
	"cmp"
	"slices"

	"causeway"
)

// Locks of SMB opens follow other rules than POSIX ([MS-FSA] 2.1.5.8, 2.1.5.9, 2.1.4.10). The owner is the open. Its locks stay as
// they were asked for: they do not merge, the same shared range may be taken many times, and unlocking names one of them exactly. An
// exclusive lock is refused by any other, the owner's own too; a shared one only by exclusive ones of others. A range
// without bytes conflicts with such open's ranges that it lies strictly within. The byte at offset 2^64-1, which no file has, is no byte.

// stacks reports whether the owner's locks follow these rules.
func (o *owner) stacks() bool { return o != nil && o.id.Kind == causeway.OwnerSMB }

// excludesItself reports whether the owner's own locks forbid e too.
func (o *owner) excludesItself(e extent) bool { return o.stacks() && e.exclusive }

// ignores reports whether e and a held range have nothing to do with one another because one has no bytes, and only one is of an
// SMB open.
func (o *owner) ignores(e extent, s *segment) bool {
	return (e.empty() || s.empty()) && o.stacks() != s.owner.stacks()
}

// stack adds a lock that nothing forbids.
func (t *Table) stack(obj *object, own *owner, e extent) causeway.Code {
	if !t.fits(own.client, 1) {
		return causeway.ErrNoLocks
	}
	if w := own.waits(obj, e); w != nil {
		t.dequeue(w)
	}
	own.holds[obj] = append(own.holds[obj], t.link(obj, own, e))
	return causeway.OK
}

// unstack takes exactly this range away, an exclusive lock of it first.
func (t *Table) unstack(h causeway.Handle, id causeway.Owner, e extent) causeway.Code {
	obj, own := t.objects[h], t.owners[id]
	if obj == nil || own == nil {
		return causeway.ErrNoEnt
	}
	list, at := own.holds[obj], -1
	for i, s := range list {
		if s.start == e.start && s.end == e.end && (at < 0 || s.exclusive && !list[at].exclusive) {
			at = i
		}
	}
	if at < 0 {
		return causeway.ErrNoEnt
	}
	t.unstackOne(list[at])
	return causeway.OK
}

func (t *Table) unstackOne(gone *segment) {
	obj, own := gone.object, gone.owner
	t.unlink(gone)
	own.holds[obj] = slices.DeleteFunc(own.holds[obj], func(s *segment) bool { return s == gone })
	if len(own.holds[obj]) == 0 {
		delete(own.holds, obj)
	}
	t.wake(obj, gone.extent)
	t.leave(obj, own)
}

// dropAll takes all locks of an owner on an object away.
func (t *Table) dropAll(obj *object, own *owner) {
	if own.stacks() {
		for _, s := range own.holds[obj] {
			t.unlink(s)
		}
		delete(own.holds, obj)
		return
	}
	t.apply(obj, own, own.edit(obj, 0, causeway.ToEOF, unlocked))
}

// CheckIO returns the lock that forbids I/O: for an SMB open any lock of another that conflicts, and for a write its own shared
// ones too; for all others, if mandatory, those of SMB opens.
func (t *Table) CheckIO(h causeway.Handle, o causeway.Owner, s causeway.Span, write, mandatory bool) (Lock, causeway.Code) {
	obj := t.objects[h]
	smb := o.Kind == causeway.OwnerSMB
	if obj == nil || obj.held == 0 || s.Length == 0 || !smb && (!mandatory || obj.smb == 0) {
		return Lock{}, causeway.OK
	}
	var found *segment
	visit := func(held *segment) bool {
		same := held.owner.id == o && !(smb && write && !held.exclusive)
		if !same && (smb || held.owner.stacks()) {
			found = held
		}
		return found == nil
	}
	e := rangeOf(s, write)
	if obj.exclusive.each(e, visit) && write {
		obj.shared.each(e, visit)
	}
	if found != nil {
		return found.lock(), causeway.ErrLocked
	}
	return Lock{}, causeway.OK
}

// Deny returns the ranges that locks of SMB opens deny to others, sorted and merged: to writers, or to readers.
func (t *Table) Deny(h causeway.Handle, write bool) []causeway.Span {
	obj := t.objects[h]
	if obj == nil || obj.smb == 0 {
		return nil
	}
	var all []extent
	visit := func(s *segment) bool {
		if s.owner.stacks() && !s.empty() {
			all = append(all, s.extent)
		}
		return true
	}
	everything := extent{0, causeway.ToEOF, false}
	obj.exclusive.each(everything, visit)
	if write {
		obj.shared.each(everything, visit)
	}
	slices.SortFunc(all, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	var merged []extent
	for _, e := range all {
		if n := len(merged); n > 0 && merged[n-1].end >= e.start {
			merged[n-1].end = max(merged[n-1].end, e.end)
		} else {
			merged = append(merged, e)
		}
	}
	spans := make([]causeway.Span, len(merged))
	for i, e := range merged {
		spans[i] = e.span()
	}
	return spans
}
