package balance

import "slices"

// Plan says who administers what. All lists are in the natural order of names.
type Plan struct {
	Placements []Placement // every volume that has an owner
	Capacities []Capacity  // every active node
	Unserved   []Unserved  // every volume that no active node may own
	Notes      []Note
	Moves      []Move // what changes against the owners in the records
	Scale      int64  // capacities and imbalances are weights times this: the weight of all active nodes
	Before     int64  // imbalance of what nodes may keep, and
	After      int64  // imbalance of the plan: sums of absolute remaining capacities, scaled
	Deferred   bool   // moves were left out for want of budget: another run goes on
}

// Placement is the owner of a volume.
type Placement struct{ Volume, Owner string }

// Capacity is the state of a node, scaled by Plan.Scale.
type Capacity struct {
	Node      string
	Ideal     int64 // its share of the load
	Before    int64 // remaining capacity beside what it owned before and may keep
	Remaining int64 // remaining capacity in the plan; negative if it owns more than its share
}

// Unserved is a volume that no active node may own.
type Unserved struct {
	Volume string
	Reason Reason
}

// Note tells an operator about a record that cannot be fulfilled.
type Note struct {
	Volume, Node string
	Text         Reason
}

// Move is a change of owner: From is empty for a volume that had none, To for one that no active node may own.
type Move struct {
	Volume, From, To string
	Reason           Reason
}

// Reason says why, in words that can be shown. The set is closed.
type Reason string

// Why volumes move, are not served, or are worth a note.
const (
	MoveNew       Reason = "had no owner"
	MoveOwnerGone Reason = "its owner is not active"
	MoveOwnerMay  Reason = "its owner may no longer own it"
	MoveFailback  Reason = "its preferred node is there"
	MoveBalance   Reason = "evens the load"

	UnservedNoNode  Reason = "no node is active"
	UnservedDomain  Reason = "no active node has its domain"
	UnservedMigrate Reason = "it may not migrate, and no active node of its domain has its group"
	UnservedLeft    Reason = "it has no owner, and balancing pairs gives it none"

	NotePreferredDomain  Reason = "the preferred node does not have the volume's domain"
	NotePreferredUnknown Reason = "the preferred node is not known"
)

// Owner returns the owner of a volume in the plan, "" if it has none.
func (p *Plan) Owner(volume string) string {
	i, ok := slices.BinarySearchFunc(p.Placements, volume, func(x Placement, name string) int { return natural(x.Volume, name) })
	if !ok {
		return ""
	}
	return p.Placements[i].Owner
}

// remember keeps the remaining capacities that nodes have with the volumes that they may keep.
func (s *state) remember() {
	for i := range s.nodes {
		s.nodes[i].before = s.nodes[i].ideal
	}
	for i := range s.volumes {
		if v := &s.volumes[i]; v.origin != none {
			s.nodes[v.origin].before -= v.size
		}
	}
}

// plan reports the state.
func (s *state) plan() *Plan {
	p := &Plan{Scale: s.scale, After: s.imbalance(), Notes: s.notes, Deferred: s.skipped && s.spent > 0}
	for i := range s.nodes {
		n := &s.nodes[i]
		p.Before += abs(n.before)
		p.Capacities = append(p.Capacities, Capacity{Node: n.Name, Ideal: n.ideal, Before: n.before, Remaining: n.remaining})
	}
	for i := range s.volumes {
		v := &s.volumes[i]
		to := ""
		if v.owner == none {
			p.Unserved = append(p.Unserved, Unserved{v.Name, s.whyUnserved(i)})
		} else {
			to = s.nodes[v.owner].Name
			p.Placements = append(p.Placements, Placement{v.Name, to})
		}
		if to != v.Owner {
			p.Moves = append(p.Moves, Move{v.Name, v.Owner, to, s.whyMoved(v)})
		}
	}
	return p
}

func (s *state) whyUnserved(vol int) Reason {
	switch {
	case len(s.nodes) == 0:
		return UnservedNoNode
	case !s.reached(s.volumes[vol].domain):
		return UnservedDomain
	case slices.ContainsFunc(s.order, func(at int) bool { return s.may(vol, at) }):
		return UnservedLeft
	}
	return UnservedMigrate
}

func (s *state) whyMoved(v *volume) Reason {
	switch {
	case v.Owner == "":
		return MoveNew
	case v.origin == none:
		if _, active := s.numbers[v.Owner]; active {
			return MoveOwnerMay
		}
		return MoveOwnerGone
	case v.owner == v.preferred:
		return MoveFailback
	}
	return MoveBalance
}
