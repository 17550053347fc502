package grants

import "causeway"

// conflict returns what of a holding must end before a request can have its way, and whether anything must.
func (t *Table) conflict(r *request, x *holding) (recall, bool) {
	keep := recall{mode: causeway.IOReadWrite}
	switch {
	case r.change:
		if x.holder == Local {
			return keep, false
		}
		keep.mode, keep.leases = r.keep, r.Leases
	case r.Holder == x.holder || !t.rules.Exclusive || r.Mode == 0:
		return keep, false // leases are no reason to end anything
	case x.mode != 0 && t.rules.Apart && !x.span.Overlaps(r.Span):
		return keep, false
	case r.Mode == causeway.IOReadWrite:
		keep.mode, keep.leases = 0, causeway.LeaseAttr|causeway.LeaseNames
	default:
		keep.mode = causeway.IORead
	}
	return keep, x.mode > keep.mode || x.leases&keep.leases != 0
}

// excludes reports whether a request that was earlier, and waits or runs, keeps a later one from being served.
func (t *Table) excludes(first, r *request) bool {
	switch {
	case first.change && r.change:
		return false // they are made one beside the other, as the storage allows
	case first.change:
		return r.Mode > first.keep
	case r.change:
		return false // a change ends what the earlier one will get, if it must
	case first.Holder == r.Holder || !t.rules.Exclusive || first.Mode == 0 || r.Mode == 0:
		return false
	}
	writes := first.Mode == causeway.IOReadWrite || r.Mode == causeway.IOReadWrite
	return writes && (!t.rules.Apart || first.Span.Overlaps(r.Span))
}

// leases returns those of the leases that a holder may have now.
func (t *Table) leases(o *object, r *request) causeway.Leases {
	if !t.rules.Exclusive || r.Leases == 0 || o.recent != nil || len(o.changes) > 0 || t.full() {
		return 0
	}
	got := r.Leases
	for _, x := range o.held {
		switch {
		case x.holder == r.Holder && x.mode == 0 && x.recall != nil:
			return 0
		case x.holder == r.Holder && x.mode == causeway.IOReadWrite:
			got &^= causeway.LeaseAttr // what it writes itself would make them untrue
		case x.holder != r.Holder && x.mode == causeway.IOReadWrite:
			got &^= causeway.LeaseAttr
			if x.holder == Local { // it costs no message, and what is local never ends by itself
				t.tell(x, recall{mode: causeway.IORead})
			}
		}
	}
	for _, w := range o.queue {
		if w.change || w.Holder != r.Holder && w.Mode == causeway.IOReadWrite {
			return 0
		}
	}
	return got
}

// mode returns what an ask for bytes gets: more than it wants where that is in nobody's way, so that a reader which writes
// later asks once.
func (t *Table) mode(o *object, r *request) causeway.IOMode {
	if r.Mode == 0 || len(o.queue) > 0 || len(o.changes) > 0 {
		return r.Mode
	}
	for _, x := range o.held {
		if t.rules.Exclusive && x.holder != r.Holder {
			return r.Mode
		}
	}
	return causeway.IOReadWrite
}
