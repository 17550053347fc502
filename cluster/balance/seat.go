package balance

import (
	"cmp"
	"slices"
)

// seat moves volumes that are heavier than the share of their node to nodes with a larger share, in exchange for about as much of
// lighter volumes. Exchanges of single volumes cannot do that, and it evens nothing by itself; but lighter volumes can be spread.
func (s *state) seat() {
	s.sortMovable()
	var heavy []int
	bulky := make([]bool, len(s.nodes)) // nodes with a volume that may not be joined by another of the kind
	for i := range s.nodes {
		for _, v := range s.nodes[i].owned {
			if s.volumes[v].size > s.nodes[i].ideal {
				bulky[i] = true
				if s.volumes[v].preferred == none {
					heavy = append(heavy, v)
				}
			}
		}
	}
	slices.SortFunc(heavy, s.heaviest)
	for _, v := range heavy {
		from := s.volumes[v].owner
		if to := s.seatOf(v, bulky); to != none {
			s.trade(v, to)
			bulky[from], bulky[to] = false, true
		}
	}
}

// seatOf returns the node where a heavy volume exceeds the share least, the smallest of these; none if its own is not worse.
func (s *state) seatOf(vol int, bulky []bool) int {
	size, best := s.volumes[vol].size, s.volumes[vol].owner
	excess := func(at int) int64 { return max(size-s.nodes[at].ideal, 0) }
	for at := range s.nodes {
		if !bulky[at] && s.may(vol, at) && cmp.Or(cmp.Compare(excess(at), excess(best)), cmp.Compare(s.nodes[at].ideal, s.nodes[best].ideal)) < 0 {
			best = at
		}
	}
	if best == s.volumes[vol].owner {
		return none
	}
	return best
}

// trade gives a volume to a node, and lighter ones back, heaviest first, up to its weight.
func (s *state) trade(vol, to int) {
	from, left := s.volumes[vol].owner, s.volumes[vol].size
	for _, u := range slices.Backward(slices.Clone(s.nodes[to].movable)) {
		if size := s.volumes[u].size; size > 0 && size <= left && s.may(u, from) {
			left -= size
			s.shift(u, from)
		}
	}
	s.shift(vol, to)
}
