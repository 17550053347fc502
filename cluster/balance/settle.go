package balance

import "slices"

// farBands is by how many dead bands two nodes must differ so that a move between them counts that only makes them more even.
const farBands = 3

// settle moves single volumes between open nodes while the hysteresis allows it. Every move makes its two nodes more even (the sum of
// the squares of the remaining capacities falls), so that it ends; what ends it is a condition on the owners alone, so that
// settling the result again moves nothing. It reports whether it moved any.
func (s *state) settle(settings Settings, budget int, open func(at int) bool) bool {
	s.sortMovable()
	any := false
	for moved := true; moved; any = any || moved {
		moved = false
		s.resort()
		givers := slices.Clone(s.order)
		slices.Reverse(givers)
		for _, from := range givers {
			for s.settleOne(from, settings, budget, open) {
				moved = true
			}
		}
	}
	return any
}

// even refines and settles, until that changes nothing more or so many times.
func (s *state) even(part int64, settings Settings, budget int, open func(at int) bool) {
	for range 4 {
		s.refine(part, budget, open)
		if !s.settle(settings, budget, open) {
			return
		}
	}
}

// settleOne moves one volume away from a node, to the emptiest that gains enough.
func (s *state) settleOne(from int, settings Settings, budget int, open func(at int) bool) bool {
	for _, to := range s.order {
		if s.nodes[to].remaining <= s.nodes[from].remaining || !open(to) {
			continue
		}
		if vol := s.worthwhile(from, to, settings, budget); vol != none {
			s.shift(vol, to)
			return true
		}
	}
	return false
}

// band returns the dead band of a node, scaled.
func (s *state) band(at int, settings Settings) int64 {
	return s.nodes[at].ideal * int64(settings.Band) / 100
}

// worthwhile returns the volume of from whose move gains the most, if it gains enough: one node is too full and the other has room, both
// by more than their bands, and the imbalance falls by the given part of the weight; or the two are far from one another, and the move
// takes them no further apart the other way round. The latter counts because among many nodes there need not be one that is full by
// what an empty one lacks. Of equal gains, the volume moves that belongs to from least.
func (s *state) worthwhile(from, to int, settings Settings, budget int) int {
	a, b := s.nodes[from].remaining, s.nodes[to].remaining
	band := max(s.band(from, settings), s.band(to, settings))
	slack, far := min(-a, b) > band, b-a > farBands*band
	if !slack && !far {
		return none
	}
	best, most, level := none, int64(0), 0
	for _, vol := range s.nodes[from].movable {
		size := s.volumes[vol].size
		gain := abs(a) + abs(b) - abs(a+size) - abs(b-size)
		enough := slack && gain*100 >= size*int64(settings.Gain) || far && b-a >= 2*size
		rank := gain + min(size, b-a-size)
		if size == 0 || gain < 0 || !enough || !s.may(vol, to) {
			continue
		}
		l := s.nodes[from].level(s.volumes[vol].group)
		if best != none && (rank < most || rank == most && l <= level) {
			continue
		}
		if cost := s.cost(vol, to); cost > 0 && s.spent+cost > budget {
			s.skipped = true
			continue
		}
		best, most, level = vol, rank, l
	}
	return best
}
