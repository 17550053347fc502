package faulty

import (
	"strings"

	"causeway"
	"causeway/backend/mem"
	"causeway/internal/sparse"
)

// record is what is stable of an object, and in which order what to it was done since.
type record struct {
	id      causeway.ObjectID
	live    causeway.Attr // now
	liveACL *causeway.ACL // default ACL now
	gone    bool          // it has no name now

	// Stable:
	attr       causeway.Attr // Size is in size
	defaultACL *causeway.ACL
	target     string
	names      map[string]slot // of a directory
	pages      sparse.Pages    // of a file
	size       uint64

	pending []change
}

// slot is where a name leads.
type slot struct {
	id     causeway.ObjectID
	cookie uint64
}

// change is one step of an object's contents or names that is not stable or not yet folded into what is.
type change struct {
	seq    uint64
	kind   changeKind
	synced bool // to be kept; stands here as long as something before it is open
	lost   bool // never to be kept

	drop, put string // names: drop is taken out ("" for none), then put leads to slot
	slot      slot
	off, end  uint64 // write: offset; punch: the range; resize: end is the new size
	data      []byte
}

type changeKind uint8

const (
	changeNames changeKind = iota + 1
	changeSize
	changeWrite
	changePunch
)

func newRecord(id causeway.ObjectID, a causeway.Attr) *record {
	r := &record{id: id, live: a, attr: a}
	switch a.Type {
	case causeway.TypeDirectory:
		r.names = make(map[string]slot)
	case causeway.TypeRegular:
		r.pages = make(sparse.Pages)
	}
	return r
}

// observe notes a change of the live store. It runs under the live store's lock.
func (v *Volatile) observe(op *mem.Op) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seq = op.Seq
	r := v.records[op.Object]
	if op.Kind == mem.OpCreate {
		r = newRecord(op.Object, op.ObjectAttr)
		r.liveACL, r.defaultACL, r.target = op.DefaultACL, op.DefaultACL, strings.Clone(op.Spec.Target)
		v.records[op.Object] = r
	}
	if r == nil {
		return // an open file without a name that was swept: nothing of it can be kept
	}
	r.live = op.ObjectAttr
	dir := v.records[op.Dir]
	if dir != nil {
		dir.live = op.DirAttr
	}
	c := change{seq: op.Seq, kind: changeNames}
	switch op.Kind {
	case mem.OpCreate, mem.OpLink:
		c.put, c.slot = strings.Clone(op.Name), slot{op.Object, op.Cookie}
		dir.pending = append(dir.pending, c)
	case mem.OpRemove:
		c.drop = strings.Clone(op.Name)
		v.lostName(r, op.Gone)
		dir.pending = append(dir.pending, c)
	case mem.OpRename:
		v.observeRename(op, dir, c)
	case mem.OpSetStat:
		r.liveACL = op.DefaultACL
		if op.Set.Has(causeway.SetSize) {
			r.pending = append(r.pending, change{seq: op.Seq, kind: changeSize, end: op.Set.Size})
		}
	case mem.OpWrite:
		r.pending = append(r.pending, change{seq: op.Seq, kind: changeWrite, off: op.Offset, data: append([]byte(nil), op.Data...)})
	case mem.OpPunch:
		r.pending = append(r.pending, change{seq: op.Seq, kind: changePunch, off: op.Span.Offset, end: op.Span.End()})
	}
}

// observeRename notes one change in one directory, or one in each of two.
func (v *Volatile) observeRename(op *mem.Op, from *record, c change) {
	to := v.records[op.To]
	if victim := v.records[op.Victim]; victim != nil {
		victim.live = op.VictimAttr
		v.lostName(victim, op.Gone)
	}
	put := change{seq: op.Seq, kind: changeNames, put: strings.Clone(op.NewName), slot: slot{op.Object, op.Cookie}}
	if from == to {
		put.drop = strings.Clone(op.Name)
		to.pending = append(to.pending, put)
	} else {
		c.drop = strings.Clone(op.Name)
		from.pending = append(from.pending, c)
		to.pending = append(to.pending, put)
	}
	to.live = op.ToAttr
}

// lostName notes that an object has one name less.
func (v *Volatile) lostName(r *record, gone bool) {
	if r.gone = gone; gone {
		v.dead++
	}
}

// persist makes names, attributes and size stable.
func (r *record) persist() {
	r.attr, r.defaultACL = r.live, r.liveACL
	r.mark(func(c *change) bool { return c.kind == changeNames || c.kind == changeSize })
}

// sync makes the contents stable.
func (r *record) sync(dataOnly bool) {
	if !dataOnly {
		r.attr, r.defaultACL = r.live, r.liveACL
	}
	r.mark(func(*change) bool { return true })
}

// lose makes what was written and is not stable impossible to keep.
func (r *record) lose() {
	for i := range r.pending {
		c := &r.pending[i]
		if !c.synced && (c.kind == changeWrite || c.kind == changePunch) {
			c.lost, c.data = true, nil
		}
	}
	r.fold()
}

// mark sets what is to be kept.
func (r *record) mark(keep func(*change) bool) {
	for i := range r.pending {
		c := &r.pending[i]
		c.synced = c.synced || !c.lost && keep(c)
	}
	r.fold()
}

// fold carries out the changes at the front that are decided. Those behind an open one wait: their order counts.
func (r *record) fold() {
	n := 0
	for ; n < len(r.pending) && (r.pending[n].synced || r.pending[n].lost); n++ {
		if r.pending[n].synced {
			r.apply(&r.pending[n])
		}
	}
	if n > 0 {
		r.pending = append([]change(nil), r.pending[n:]...)
	}
}

// apply carries out one change in what is stable.
func (r *record) apply(c *change) {
	switch c.kind {
	case changeNames:
		if c.drop != "" {
			delete(r.names, c.drop)
		}
		if c.put != "" {
			r.names[c.put] = c.slot
		}
	case changeSize:
		r.pages.Zero(c.end, causeway.ToEOF)
		r.size = c.end
	case changeWrite:
		r.pages.Write(c.data, c.off)
		r.size = max(r.size, c.off+uint64(len(c.data)))
	case changePunch:
		r.pages.Zero(c.off, c.end)
	}
}
