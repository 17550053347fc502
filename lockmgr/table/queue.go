package table

import (
	"maps"
	"slices"

	"causeway"
)

// waiter is a queued request.
type waiter struct {
	extent
	object *object
	owner  *owner
	serial uint64
}

// enqueue lets a request wait: ErrBlocked; ErrDeadlock if it would wait for itself; ErrNoLocks if too many wait.
func (t *Table) enqueue(obj *object, own *owner, e extent) causeway.Code {
	if own.waits(obj, e) != nil {
		return causeway.ErrBlocked
	}
	if t.waiting >= t.limits.Waiting || own.client.waiting >= t.limits.WaitingPerClient || own.client.party.waiting >= t.limits.ofParty(t.limits.Waiting, t.limits.WaitingPerClient) {
		return causeway.ErrNoLocks
	}
	if !own.stacks() && deadlock(obj, own, e) {
		return causeway.ErrDeadlock
	}
	t.serial++
	w := &waiter{e, obj, own, t.serial}
	obj.queue = append(obj.queue, w)
	own.waiters = append(own.waiters, w)
	t.waiting, own.client.waiting = t.waiting+1, own.client.waiting+1
	own.client.party.waiting++
	return causeway.ErrBlocked
}

func (t *Table) dequeue(w *waiter) {
	is := func(v *waiter) bool { return v == w }
	w.object.queue = slices.DeleteFunc(w.object.queue, is)
	w.owner.waiters = slices.DeleteFunc(w.owner.waiters, is)
	t.waiting, w.owner.client.waiting = t.waiting-1, w.owner.client.waiting-1
	w.owner.client.party.waiting--
}

// wake grants what waits for bytes of the freed range, in order of arrival. Granting a request can itself free something
// (where it weakens a lock of its owner): then the scan starts again. One that finds no room under the limits stays: its
// client asks again, or the next release finds it.
func (t *Table) wake(obj *object, freed extent) {
	for again := true; again; {
		again = false
		for _, w := range slices.Clone(obj.queue) {
			if !w.overlaps(freed) || obj.conflict(w.owner, w.extent) != nil {
				continue
			}
			if w.owner.stacks() {
				if t.stack(obj, w.owner, w.extent) == causeway.OK {
					t.granted(obj, w)
				}
				continue
			}
			e := w.owner.edit(obj, w.start, w.end, modeOf(w.exclusive))
			if !t.fits(w.owner.client, e.growth()) {
				continue
			}
			t.dequeue(w)
			t.granted(obj, w)
			if t.apply(obj, w.owner, e) {
				freed = extent{min(freed.start, w.start), max(freed.end, w.end), false}
				again = true
				break
			}
		}
	}
}

func (t *Table) granted(obj *object, w *waiter) {
	l := Lock{obj.handle, w.owner.id, w.span(), w.exclusive}
	t.effects = append(t.effects, Effect{Kind: Granted, Lock: l, To: w.owner.gateway})
}

// release drops all of some owners, and only then serves others: what one of them waited for or one request of a third could
// have between two owners' releases must not matter.
func (t *Table) release(owners []*owner) {
	touched := make(map[*object]bool)
	for _, own := range owners {
		for len(own.waiters) > 0 {
			touched[own.waiters[0].object] = true
			t.dequeue(own.waiters[0])
		}
		for obj := range own.holds {
			touched[obj] = true
			t.dropAll(obj, own)
		}
		t.dropIfIdle(own)
	}
	objects := slices.SortedFunc(maps.Keys(touched), func(a, b *object) int { return compareHandles(a.handle, b.handle) })
	for _, obj := range objects {
		t.wake(obj, extent{0, causeway.ToEOF, false})
		t.dropIfUnused(obj)
	}
}

// deadlockSteps bounds one search for a cycle. Beyond it the request waits: a client that gives up cancels.
const deadlockSteps = 100_000

// deadlock reports whether own would wait for itself: a holder in its way waits, directly or through others, for something
// that own holds. An owner with several requests waiting counts as stopped by each, as in POSIX systems.
func deadlock(obj *object, own *owner, e extent) bool {
	seen := map[*owner]bool{own: true}
	steps := 0
	var stack []*waiter
	cycle := false
	push := func(obj *object, waits *owner, e extent) {
		obj.eachConflict(waits, e, func(s *segment) bool {
			steps++
			if s.owner == own && waits != own {
				cycle = true
				return false
			}
			if !seen[s.owner] {
				seen[s.owner] = true
				stack = append(stack, s.owner.waiters...)
			}
			return steps < deadlockSteps
		})
	}
	push(obj, own, e)
	for len(stack) > 0 && !cycle && steps < deadlockSteps {
		w := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		push(w.object, w.owner, w.extent)
	}
	return cycle
}

// eachConflict visits all held locks of others that forbid e, until visit returns false.
func (o *object) eachConflict(own *owner, e extent, visit func(*segment) bool) {
	foreign := func(s *segment) bool { return s.owner == own || own.ignores(e, s) || visit(s) }
	if o.exclusive.each(e, foreign) && e.exclusive {
		o.shared.each(e, foreign)
	}
}
