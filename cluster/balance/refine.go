package balance

import (
	"cmp"
	"slices"
)

// unbounded is a budget that is never used up.
const unbounded = 1 << 30

// maxEffort bounds refinement by counted work instead of by time, so that it stays deterministic.
const maxEffort = 40_000_000

// refiner evens pairs of nodes by moves and exchanges.
type refiner struct {
	s      *state
	budget int
	line   []int // the nodes that take part, by remaining capacity, ascending
	offers []offer
	effort int
}

// offer is a volume that one node could give back in exchange; none stands for nothing.
type offer struct {
	volume int
	size   int64
}

// exchange gives a volume from the fuller node to the other, which gives one back or none. Gain is half of what the difference
// between the two falls by, scaled.
type exchange struct {
	from, to   int
	give, back int
	gain       int64
}

// The least gain of an exchange, as a part of the average share of a node. What is finer is noise beside changes of the load, and
// most of the work.
const (
	fine   = 1024
	coarse = 64
)

// refine evens all pairs of open nodes, large gains first, down to the given part of the average share.
func (s *state) refine(part int64, budget int, open func(at int) bool) {
	r := &refiner{s: s, budget: budget}
	for i := range s.nodes {
		if open(i) {
			r.line = append(r.line, i)
		}
	}
	if len(r.line) < 2 {
		return
	}
	s.sortMovable()
	slices.SortFunc(r.line, r.fuller)
	share := s.total * s.scale / int64(len(s.nodes))
	for p := int64(4); p <= part; p *= 4 {
		for r.sweep(max(share/p, 1)) {
		}
	}
}

func (r *refiner) fuller(a, b int) int {
	return cmp.Or(cmp.Compare(r.s.nodes[a].remaining, r.s.nodes[b].remaining), cmp.Compare(a, b))
}

// sweep lets every node, the fullest first, give what it gains from, and reports whether any did.
func (r *refiner) sweep(least int64) bool {
	found := false
	for _, from := range slices.Clone(r.line) {
		for r.effort <= maxEffort {
			x := r.best(from, least)
			if x.gain < least {
				break
			}
			r.apply(x)
			found = true
		}
	}
	return found && r.effort <= maxEffort
}

// best returns the exchange of a node with the largest gain, at least the given one if there is any.
func (r *refiner) best(from int, least int64) exchange {
	var best exchange
	for i := len(r.line) - 1; i >= 0; i-- {
		to := r.line[i]
		gap := r.s.nodes[to].remaining - r.s.nodes[from].remaining
		if gap/2 < max(best.gain+1, least) { // no exchange with this node or a fuller one can be better
			break
		}
		if x := r.between(from, to, gap); x.gain > best.gain {
			best = x
		}
	}
	return best
}

// between returns the best exchange of two nodes: the one whose net size is the nearest to half the gap.
func (r *refiner) between(from, to int, gap int64) exchange {
	s, best := r.s, exchange{from: from, to: to}
	r.offers = append(r.offers[:0], offer{volume: none})
	for _, u := range s.nodes[to].movable {
		if s.volumes[u].size > 0 && s.may(u, from) {
			r.offers = append(r.offers, offer{u, s.volumes[u].size})
		}
	}
	r.effort += 1 + len(s.nodes[to].movable) + len(s.nodes[from].movable)
	at := 0
	for _, v := range s.nodes[from].movable {
		if !s.may(v, to) {
			continue
		}
		size := s.volumes[v].size
		for at < len(r.offers) && size-r.offers[at].size > gap/2 {
			at++
		}
		for i := max(at-1, 0); i <= at && i < len(r.offers); i++ {
			net := size - r.offers[i].size
			gain := min(net, gap-net)
			if (gain > best.gain || gain == best.gain && gain > 0 && i == 0 && best.back != none) && r.affordable(v, to, r.offers[i].volume, from) {
				best.give, best.back, best.gain = v, r.offers[i].volume, gain
			}
		}
	}
	return best
}

// affordable reports whether the budget allows an exchange.
func (r *refiner) affordable(give, to, back, from int) bool {
	cost := r.s.cost(give, to)
	if back != none {
		cost += r.s.cost(back, from)
	}
	if cost <= 0 || r.s.spent+cost <= r.budget {
		return true
	}
	r.s.skipped = true
	return false
}

func (r *refiner) apply(x exchange) {
	r.line = slices.DeleteFunc(r.line, func(at int) bool { return at == x.from || at == x.to })
	r.s.shift(x.give, x.to)
	if x.back != none {
		r.s.shift(x.back, x.from)
	}
	for _, at := range []int{x.from, x.to} {
		i, _ := slices.BinarySearchFunc(r.line, at, r.fuller)
		r.line = slices.Insert(r.line, i, at)
	}
}

// sortMovable lists, per node, the volumes that may leave: those without an active preferred node.
func (s *state) sortMovable() {
	for i := range s.nodes {
		n := &s.nodes[i]
		n.movable = n.movable[:0]
		for _, v := range n.owned {
			if s.volumes[v].preferred == none {
				n.movable = append(n.movable, v)
			}
		}
		slices.SortFunc(n.movable, s.byGrain(i))
	}
}

// byGrain compares volumes of a node by weight; of equal ones, those come first that belong to the node least.
func (s *state) byGrain(at int) func(a, b int) int {
	n := &s.nodes[at]
	return func(a, b int) int {
		v, w := &s.volumes[a], &s.volumes[b]
		if v.size != w.size {
			return cmp.Compare(v.size, w.size)
		}
		return cmp.Or(cmp.Compare(n.level(w.group), n.level(v.group)), cmp.Compare(a, b))
	}
}

// shift moves a movable volume and keeps the lists of movable ones.
func (s *state) shift(vol, to int) {
	from := s.volumes[vol].owner
	a, b := &s.nodes[from], &s.nodes[to]
	if i, ok := slices.BinarySearchFunc(a.movable, vol, s.byGrain(from)); ok {
		a.movable = slices.Delete(a.movable, i, i+1)
	}
	s.assign(vol, to)
	i, _ := slices.BinarySearchFunc(b.movable, vol, s.byGrain(to))
	b.movable = slices.Insert(b.movable, i, vol)
}
