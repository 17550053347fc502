package balance

import (
	"cmp"
	"slices"
)

// Pairwise evens the present owners as the patent document does (WO 99/53415, step 1166), in at most so many rounds: for each pair of
// nodes, the outer takes from the inner volumes that are not at their preferred node and that it may own, those that belong to the
// inner least first, then lighter before heavier ones. A volume moves if the sum of the absolute remaining capacities of the two
// falls, or stays and the two become more even. Rounds end when the sum over all nodes does not fall. [Cold] and [Warm] do not use
// it (docs/adr/0009-placement.md says why): it stands here as the measure of what took its place. Volumes without an owner that they may keep stay
// without, and are reported as unserved.
func Pairwise(nodes []Node, volumes []Volume, rounds int) (*Plan, error) {
	s, err := newState(nodes, volumes)
	if err != nil {
		return nil, err
	}
	s.remember()
	s.keep()
	s.resort()
	for last := s.imbalance(); rounds > 0; rounds-- {
		s.pairwiseRound()
		now := s.imbalance()
		if now >= last {
			break
		}
		last = now
	}
	return s.plan(), nil
}

// keep leaves volumes with the owners that may own them.
func (s *state) keep() {
	for i := range s.volumes {
		if at := s.volumes[i].origin; at != none {
			s.assign(i, at)
		}
	}
}

func (s *state) pairwiseRound() {
	for _, outer := range s.order {
		for _, inner := range s.order {
			if outer != inner {
				s.pairwiseTake(outer, inner)
			}
		}
	}
}

// pairwiseTake lets the outer node take what it gains from.
func (s *state) pairwiseTake(outer, inner int) {
	a, b := &s.nodes[outer], &s.nodes[inner]
	offer := slices.Clone(b.owned)
	slices.SortFunc(offer, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.level(s.volumes[y].group), b.level(s.volumes[x].group)),
			cmp.Compare(s.volumes[x].size, s.volumes[y].size), cmp.Compare(x, y))
	})
	for _, i := range offer {
		if v := &s.volumes[i]; v.preferred != inner && s.may(i, outer) && better(a.remaining, b.remaining, v.size) {
			s.assign(i, outer)
		}
	}
}

// better reports whether a pair of nodes gains from moving a size to the one with remaining capacity a from the one with b.
func better(a, b, size int64) bool {
	before, after := abs(a)+abs(b), abs(a-size)+abs(b+size)
	return after < before || after == before && abs(a-b-2*size) < abs(a-b)
}
