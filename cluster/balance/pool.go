package balance

import "slices"

// kind is what volumes of a pool have in common.
type kind struct{ group, domain int }

// anyGroup is the group of a pool of volumes whose groups do not matter.
const anyGroup = -2

// pool holds volumes that wait for a node, by kind, heaviest first.
type pool struct {
	s     *state
	waits map[kind][]int
}

func newPool(s *state, volumes []int, key func(v *volume) kind) *pool {
	p := &pool{s: s, waits: map[kind][]int{}}
	slices.SortFunc(volumes, s.heaviest)
	for _, i := range volumes {
		k := key(&s.volumes[i])
		p.waits[k] = append(p.waits[k], i)
	}
	return p
}

// take gives a node the heaviest volume of a group in its domains, and reports whether there was one.
func (p *pool) take(group, at int) bool {
	best := kind{domain: none}
	for _, d := range p.s.nodes[at].domains {
		k := kind{group, d}
		if w := p.waits[k]; len(w) > 0 && (best.domain == none || p.s.heaviest(w[0], p.waits[best][0]) < 0) {
			best = k
		}
	}
	if best.domain == none {
		return false
	}
	w := p.waits[best]
	p.waits[best] = w[1:]
	p.s.assign(w[0], at)
	return true
}

// fill gives a node volumes of a group as long as it has remaining capacity.
func (p *pool) fill(group, at int) {
	for p.s.nodes[at].remaining > 0 && p.take(group, at) {
	}
}
