package balance

import (
	"cmp"
	"slices"
)

// Warm adapts the present owners to the records and moves little. If no volume has an owner that it may keep, it is a cold start. It
// fails with causeway.ErrInval, naming the record or field at fault.
func Warm(nodes []Node, volumes []Volume, settings Settings) (*Plan, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	s, err := newState(nodes, volumes)
	if err != nil {
		return nil, err
	}
	s.remember()
	if !slices.ContainsFunc(s.volumes, func(v volume) bool { return v.origin != none }) {
		s.cold(settings)
		return s.plan(), nil
	}
	budget := max(settings.Budget, 0)
	settled := func(at int) bool { return s.nodes[at].Settled }
	s.keep()
	s.failBack(budget)
	s.house(settings)
	if settings.Thorough {
		s.even(coarse, settings, budget, settled)
	} else {
		s.settle(settings, budget, settled)
	}
	return s.plan(), nil
}

// failBack moves volumes to their preferred nodes that are settled, heaviest first.
func (s *state) failBack(budget int) {
	var back []int
	for i := range s.volumes {
		v := &s.volumes[i]
		if v.owner != none && v.preferred != none && v.preferred != v.owner && s.nodes[v.preferred].Settled {
			back = append(back, i)
		}
	}
	slices.SortFunc(back, s.heaviest)
	for k, i := range back {
		if k >= budget {
			s.skipped = true
			return
		}
		s.assign(i, s.volumes[i].preferred)
	}
}

// house gives the homeless a node, heaviest first. An active preferred node is taken even if it is not settled: the volume has to
// move anyhow, and would move twice.
func (s *state) house(settings Settings) {
	homeless := s.waiting(func(*volume) bool { return true })
	slices.SortFunc(homeless, s.heaviest)
	for _, i := range homeless {
		at := s.volumes[i].preferred
		if at == none {
			at = s.hostOf(i, settings)
		}
		if at != none {
			s.assign(i, at)
		}
	}
}

// hostOf returns the node for a homeless volume: of those where the imbalance is at most Gain percent of its weight above the least
// that is possible, the one to which its group matters most, then the one that has the most room afterwards for its weight.
func (s *state) hostOf(vol int, settings Settings) int {
	v := &s.volumes[vol]
	load := func(at int) int64 { r := s.nodes[at].remaining; return abs(r-v.size) - abs(r) }
	least, found := int64(0), false
	for at := range s.nodes {
		if s.may(vol, at) && (!found || load(at) < least) {
			least, found = load(at), true
		}
	}
	best, level := none, 0
	for at := range s.nodes {
		if !s.may(vol, at) || load(at) > least+v.size*int64(settings.Gain)/100 {
			continue
		}
		l := s.nodes[at].level(v.group)
		if best == none || l < level || l == level && s.roomier(at, best, v.size) {
			best, level = at, l
		}
	}
	return best
}

// roomier reports whether node a has more room than node b, each relative to its weight, with a volume of a size.
func (s *state) roomier(a, b int, size int64) bool {
	x, y := &s.nodes[a], &s.nodes[b]
	if c := cmp.Compare((x.remaining-size)*int64(y.Weight), (y.remaining-size)*int64(x.Weight)); c != 0 {
		return c > 0
	}
	return x.remaining > y.remaining
}
