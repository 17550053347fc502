package record

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"causeway"
)

// Table is a copy of the records at a revision. It is either changed in place by its only user (Apply) or shared and
// followed by others (With), never both. The zero Table is empty.
type Table struct {
	revision int64
	kinds    [kinds]map[Key]*Item
}

// Revision returns the database's revision of which this is a copy. Later revisions may have touched other keys only.
func (t *Table) Revision() int64 { return t.revision }

// Get returns an item or nil.
func (t *Table) Get(k Key) *Item { return t.kinds[k.Kind][k] }

// Len returns how many records of a kind there are.
func (t *Table) Len(k Kind) int { return len(t.kinds[k]) }

// Apply makes the changes of a revision in place.
func (t *Table) Apply(revision int64, changes []Change) {
	for _, c := range changes {
		if c.Item == nil {
			delete(t.kinds[c.Key.Kind], c.Key)
			continue
		}
		if t.kinds[c.Key.Kind] == nil {
			t.kinds[c.Key.Kind] = make(map[Key]*Item)
		}
		t.kinds[c.Key.Kind][c.Key] = c.Item
	}
	t.revision = revision
}

// With returns a table with the changes and leaves t as it is. It costs a copy of each kind that changes.
func (t *Table) With(revision int64, changes []Change) *Table {
	n := *t
	var copied [kinds]bool
	for _, c := range changes {
		if k := c.Key.Kind; !copied[k] {
			n.kinds[k], copied[k] = maps.Clone(t.kinds[k]), true
		}
	}
	n.Apply(revision, changes)
	return &n
}

// Diff returns the changes that lead from t to n, in the order of their keys.
func (t *Table) Diff(n *Table) []Change {
	var changes []Change
	for kind := range t.kinds {
		for k := range t.kinds[kind] {
			if n.Get(k) == nil {
				changes = append(changes, Change{Key: k})
			}
		}
		for k, item := range n.kinds[kind] {
			if old := t.Get(k); old == nil || old.Mod != item.Mod {
				changes = append(changes, Change{k, item})
			}
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return compareKeys(a.Key, b.Key) })
	return changes
}

// Items returns the items of a kind in the order of their keys.
func (t *Table) Items(k Kind) []*Item {
	return slices.SortedFunc(maps.Values(t.kinds[k]), func(a, b *Item) int { return compareKeys(a.Key, b.Key) })
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Name, b.Name))
}

// All returns the items of a kind in no order.
func (t *Table) All(k Kind) iter.Seq[*Item] { return maps.Values(t.kinds[k]) }

// Cluster returns the cluster's record or nil.
func (t *Table) Cluster() *Cluster { r, _ := value[*Cluster](t, Sole(KindCluster)); return r }

// Node returns a node's record or nil.
func (t *Table) Node(name string) *Node { r, _ := value[*Node](t, Named(KindNode, name)); return r }

// Member returns a running gateway's record, and the create revision of its key, or nil.
func (t *Table) Member(name string) (*Member, int64) {
	return value[*Member](t, Named(KindMember, name))
}

// Volume returns a volume's record or nil.
func (t *Table) Volume(id causeway.VolumeID) *Volume {
	r, _ := value[*Volume](t, Of(KindVolume, id))
	return r
}

// VolumeByName returns the record of the volume with that name, or nil.
func (t *Table) VolumeByName(name string) *Volume {
	if n, _ := value[*Name](t, Named(KindName, name)); n != nil {
		return t.Volume(n.Volume)
	}
	return nil
}

// Owner returns a volume's owner and the create revision of its key, or nil.
func (t *Table) Owner(id causeway.VolumeID) (*Owner, int64) {
	return value[*Owner](t, Of(KindOwner, id))
}

// Shadow returns from when on a second copy of a volume's state counts, and the create revision of its key, or nil.
func (t *Table) Shadow(id causeway.VolumeID) (*Shadow, int64) {
	return value[*Shadow](t, Of(KindShadow, id))
}

// Assigned returns the node that shall own a volume, or "".
func (t *Table) Assigned(id causeway.VolumeID) string {
	if a, _ := value[*Assign](t, Of(KindAssign, id)); a != nil {
		return a.Node
	}
	return ""
}

// Epoch returns the epoch of a volume's ownership, zero if nobody owns it.
func (t *Table) Epoch(id causeway.VolumeID) causeway.Epoch {
	if owner, create := t.Owner(id); owner != nil {
		return t.EpochAt(create)
	}
	return causeway.Epoch{}
}

// EpochAt returns the epoch of an owner key that was created by revision create.
func (t *Table) EpochAt(create int64) causeway.Epoch {
	e := causeway.Epoch{Revision: uint64(create)}
	if c := t.Cluster(); c != nil {
		e.Incarnation = c.Incarnation
	}
	return e
}

// Mod returns the revision that wrote a key last, 0 if there is none.
func (t *Table) Mod(k Key) int64 {
	if item := t.Get(k); item != nil {
		return item.Mod
	}
	return 0
}

func value[R Record](t *Table, k Key) (r R, create int64) {
	if item := t.Get(k); item != nil {
		return item.Value.(R), item.Create
	}
	return r, 0
}
