package balance

import "slices"

// The steps of a cold start, by their numbers in WO 99/53415.
const (
	stepPreferred = "1152"
	stepGroups    = "1158"
	stepOverflow  = "1160"
	stepMigrate   = "1162"
	stepRest      = "1164"
)

// Cold places all volumes from scratch and then refines the plan, without a bound on what moves. Of the settings Band and Gain
// count, so that a warm start on the result moves nothing. It fails with causeway.ErrInval, naming the record or field at fault.
func Cold(nodes []Node, volumes []Volume, settings Settings) (*Plan, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	s, err := newState(nodes, volumes)
	if err != nil {
		return nil, err
	}
	s.remember()
	s.cold(settings)
	return s.plan(), nil
}

func (s *state) cold(settings Settings) {
	s.steps(func(string) {})
	anyNode := func(int) bool { return true }
	s.refine(coarse, unbounded, anyNode)
	s.seat()
	s.even(fine, settings, unbounded, anyNode)
}

// steps runs the document's steps up to 1164, and calls after at the end of each.
func (s *state) steps(after func(step string)) {
	s.toPreferred()
	after(stepPreferred)
	s.resort()
	matched := s.toGroups()
	after(stepGroups)
	s.resort()
	s.overflow(matched)
	after(stepOverflow)
	s.resort()
	s.migrate()
	after(stepMigrate)
	s.resort()
	s.rest()
	after(stepRest)
}

// toPreferred gives every volume whose preferred node may own it to that node.
func (s *state) toPreferred() {
	for i := range s.volumes {
		if at := s.volumes[i].preferred; at != none {
			s.assign(i, at)
		}
	}
}

// waiting returns the volumes that have no owner and fulfil a condition.
func (s *state) waiting(want func(v *volume) bool) []int {
	var list []int
	for i := range s.volumes {
		if v := &s.volumes[i]; v.owner == none && want(v) {
			list = append(list, i)
		}
	}
	return list
}

// grouped returns which groups some active node has.
func (s *state) grouped() map[int]bool {
	groups := map[int]bool{}
	for i := range s.nodes {
		for _, g := range s.nodes[i].levels {
			if g != none {
				groups[g] = true
			}
		}
	}
	return groups
}

// layers returns the length of the longest list of groups.
func (s *state) layers() int {
	most := 0
	for i := range s.nodes {
		most = max(most, len(s.nodes[i].levels))
	}
	return most
}

// groupAt returns the group of a node at a level of its priorities, or none.
func (s *state) groupAt(at, level int) int {
	if levels := s.nodes[at].levels; level < len(levels) {
		return levels[level]
	}
	return none
}

// toGroups fills nodes with volumes of their first groups, then of their second groups, and so on. It returns those for which
// there was no room.
func (s *state) toGroups() *pool {
	groups := s.grouped()
	matched := newPool(s, s.waiting(func(v *volume) bool { return groups[v.group] }), func(v *volume) kind { return kind{v.group, v.domain} })
	for level := range s.layers() {
		for _, at := range s.order {
			if g := s.groupAt(at, level); g != none {
				matched.fill(g, at)
			}
		}
	}
	return matched
}

// overflow deals volumes for which their groups' nodes have no room to these nodes all the same, in turns.
func (s *state) overflow(matched *pool) {
	for level := range s.layers() {
		turn := slices.DeleteFunc(slices.Clone(s.order), func(at int) bool { return s.groupAt(at, level) == none })
		for len(turn) > 0 { // who got nothing will get nothing in the next lap either
			turn = slices.DeleteFunc(turn, func(at int) bool { return !matched.take(s.groupAt(at, level), at) })
		}
	}
}

// migrate fills nodes with volumes whose group no active node has.
func (s *state) migrate() {
	groups := s.grouped()
	foreign := newPool(s, s.waiting(func(v *volume) bool { return v.CanMigrate && !groups[v.group] }), func(v *volume) kind { return kind{anyGroup, v.domain} })
	for _, at := range s.order {
		foreign.fill(anyGroup, at)
	}
}

// rest deals what is left to the nodes in turns; a volume skips nodes outside its domain.
func (s *state) rest() {
	left := s.waiting(func(v *volume) bool { return v.CanMigrate })
	slices.SortFunc(left, s.heaviest)
	next := 0
	for _, i := range left {
		for k := range s.order {
			at := s.order[(next+k)%len(s.order)]
			if s.may(i, at) {
				s.assign(i, at)
				next = (next + k + 1) % len(s.order)
				break
			}
		}
	}
}
