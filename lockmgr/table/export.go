package table

import (
	"cmp"
	"iter"
	"slices"

	"causeway"
)

// Held returns all locks, in no order. Each can be given to Assert of another table.
func (t *Table) Held() iter.Seq[Lock] {
	return func(yield func(Lock) bool) {
		for _, own := range t.owners {
			for _, segments := range own.holds {
				for _, s := range segments {
					if !yield(s.lock()) {
						return
					}
				}
			}
		}
	}
}

// HeldBy returns the locks of one owner, sorted by handle and offset.
func (t *Table) HeldBy(o causeway.Owner) []Lock {
	own := t.owners[o]
	if own == nil {
		return nil
	}
	var list []Lock
	for _, segments := range own.holds {
		for _, s := range segments {
			list = append(list, s.lock())
		}
	}
	slices.SortFunc(list, compareLocks)
	return list
}

// Waiting returns the queued requests, in the order in which they arrived.
func (t *Table) Waiting() []Lock {
	var all []*waiter
	for _, obj := range t.objects {
		all = append(all, obj.queue...)
	}
	slices.SortFunc(all, func(a, b *waiter) int { return cmp.Compare(a.serial, b.serial) })
	list := make([]Lock, len(all))
	for i, w := range all {
		list[i] = Lock{w.object.handle, w.owner.id, w.span(), w.exclusive}
	}
	return list
}

// Sort orders locks by handle, offset and owner.
func Sort(list []Lock) { slices.SortFunc(list, compareLocks) }

func compareLocks(a, b Lock) int {
	return cmp.Or(
		compareHandles(a.Handle, b.Handle),
		cmp.Compare(a.Span.Offset, b.Span.Offset),
		cmp.Compare(a.Owner.Kind, b.Owner.Kind),
		cmp.Compare(a.Owner.Client, b.Owner.Client),
		cmp.Compare(a.Owner.Opaque, b.Owner.Opaque),
	)
}

func compareHandles(a, b causeway.Handle) int {
	return cmp.Or(cmp.Compare(a.Volume, b.Volume), slices.Compare(a.Object[:], b.Object[:]))
}
