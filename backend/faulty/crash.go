package faulty

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"causeway"
	"causeway/backend/mem"
)

// Keep says what a crash leaves of changes that were not stable: each is kept with this probability, as a disk may have
// written some of them already. The zero Keep leaves nothing. With one seed, history and probability the outcome is one.
type Keep struct {
	Probability float64
	Seed        uint64
}

// decides whether the change with a sequence number is kept: the two halves of a rename together.
func (k Keep) decides(seq uint64) bool {
	return k.Probability > 0 && rand.New(rand.NewPCG(k.Seed, seq)).Float64() < k.Probability
}

// Crash throws away what is not stable and not kept. It waits for calls that are being carried out; those that come later
// find the volume as after a restart.
func (v *Volatile) Crash(keep Keep) error {
	v.rw.Lock()
	defer v.rw.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.records {
		r.settle(keep)
	}
	reached := v.reach()
	img := mem.Image{Seq: v.seq}
	for _, r := range reached {
		img.Objects = append(img.Objects, v.image(r))
	}
	live, err := mem.Load(v.cfg, img)
	if err != nil {
		return &causeway.Error{Op: "crash", Code: causeway.ErrServerFault, Err: err}
	}
	v.records = make(map[causeway.ObjectID]*record, len(reached))
	for _, r := range reached {
		v.records[r.id] = r
	}
	_ = v.live.Close() // never fails
	v.live = live
	v.crashes++
	v.dead = 0
	return nil
}

// settle decides everything that is pending.
func (r *record) settle(keep Keep) {
	for i := range r.pending {
		c := &r.pending[i]
		if c.synced || !c.lost && keep.decides(c.seq) {
			r.apply(c)
		}
	}
	r.pending = nil
	if r.attr.Change != r.live.Change && keep.decides(r.live.Change) {
		r.attr, r.defaultACL = r.live, r.liveACL
	}
	r.gone = false
}

// reach returns what stable names lead to from the root, every object once. Names that lead nowhere, and second names of
// directories, are taken out.
func (v *Volatile) reach() []*record {
	root := v.records[v.live.Root()]
	reached, seen := []*record{root}, map[causeway.ObjectID]bool{root.id: true}
	for i := 0; i < len(reached); i++ {
		dir := reached[i]
		for _, name := range dir.sortedNames() {
			child := v.records[dir.names[name].id]
			switch {
			case child == nil || seen[child.id] && child.names != nil:
				delete(dir.names, name)
			case !seen[child.id]:
				seen[child.id] = true
				reached = append(reached, child)
			}
		}
	}
	return reached
}

// sortedNames returns the names in the order in which they came to be.
func (r *record) sortedNames() []string {
	names := make([]string, 0, len(r.names))
	for name := range r.names {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(r.names[a].cookie, r.names[b].cookie) })
	return names
}

// image makes what the new live store starts with; both go on from the same attributes.
func (v *Volatile) image(r *record) mem.ImageObject {
	r.attr.Size = r.size
	r.live, r.liveACL = r.attr, r.defaultACL
	o := mem.ImageObject{Attr: r.attr, Target: r.target, DefaultACL: r.defaultACL, Pages: r.pages.Clone()}
	for _, name := range r.sortedNames() {
		s := r.names[name]
		o.Entries = append(o.Entries, mem.ImageEntry{Name: name, Cookie: s.cookie, FileID: v.records[s.id].attr.FileID})
	}
	return o
}

// Unstable counts the objects of which something would be lost by a crash now.
func (v *Volatile) Unstable() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.records {
		if len(r.pending) > 0 || !r.gone && r.attr.Change != r.live.Change {
			n++
		}
	}
	return n
}

// sweep forgets objects that are gone and that no stable or pending name leads to. It runs when there are many.
func (v *Volatile) sweep() {
	if v.dead < 1024 || v.dead < len(v.records)/2 {
		return
	}
	named := make(map[causeway.ObjectID]bool)
	for _, r := range v.records {
		for _, s := range r.names {
			named[s.id] = true
		}
		for i := range r.pending {
			named[r.pending[i].slot.id] = true
		}
	}
	v.dead = 0 // what stays is not counted again, so that the next sweep is as far away as this one was
	for id, r := range v.records {
		if r.gone && !named[id] {
			delete(v.records, id)
		}
	}
}
