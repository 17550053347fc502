package table

import (
	"slices"

	"causeway"
)

// doom is a name of an object that goes with the last open of it ([MS-FSA], Link.IsDeleted).
type doom struct {
	dir     causeway.Handle
	name    string
	by      causeway.Held
	removed bool // being removed: told by Doomed
}

func (d *doom) names(dir causeway.Handle, name string) bool {
	return d.dir == dir && d.name == name || name == ""
}

// doomed is the answer for a name that goes: if it is being removed right now, it is waited for.
func (r *OpenRequest) doomed(t *Table, obj *object) causeway.Code {
	switch {
	case !obj.doom.removed:
		return causeway.ErrDeletePending
	case r.Peek:
		return causeway.ErrWouldBlock
	case r.Claim == 0:
		return causeway.ErrDeletePending
	}
	t.claim(obj.handle, r.Claim, 0)
	return causeway.ErrBlocked
}

// execute tells when a doomed name has no open any more.
func (t *Table) execute(obj *object) {
	d := obj.doom
	if d == nil || d.removed || slices.ContainsFunc(obj.opens, func(o *open) bool { return d.names(o.Dir, o.Name) }) {
		return
	}
	d.removed = true
	t.effects = append(t.effects, Effect{Kind: Doomed, Handle: obj.handle, Held: d.by, To: d.by.Gateway})
}

// Removed says that a doomed name is gone, or could not be removed.
func (t *Table) Removed(h causeway.Handle) {
	if obj := t.objects[h]; obj != nil && obj.doom != nil && obj.doom.removed {
		obj.doom = nil
		t.unblocked(obj)
		t.dropIfUnused(obj)
	}
}

// SetDelete dooms the name under which an object was opened, or spares it: ErrAccess without the right to delete, ErrBadOpen.
func (t *Table) SetDelete(h causeway.Handle, id causeway.OpenID, on bool) causeway.Code {
	o := t.opens[id]
	switch {
	case o == nil || o.Handle != h:
		return causeway.ErrBadOpen
	case o.Access&causeway.Delete == 0:
		return causeway.ErrAccess
	case o.Name == "":
		return causeway.ErrInval
	}
	if d := o.object.doom; on && d == nil {
		o.object.doom = &doom{dir: o.Dir, name: o.Name, by: o.Held}
	} else if !on && d != nil && !d.removed {
		o.object.doom = nil
	}
	t.markDoomed(o.object)
	return causeway.OK
}

// markDoomed tells the opens of an object whether their name is to go, so that it is not forgotten with this table.
func (t *Table) markDoomed(obj *object) {
	for _, o := range obj.opens {
		if pending := obj.doom != nil && obj.doom.names(o.Dir, o.Name); pending != o.DeletePending {
			o.DeletePending = pending
			t.noteOpen(o)
		}
	}
}
