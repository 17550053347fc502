package balance

import (
	"cmp"
	"slices"
)

const none = -1

// noLevel is the level of a group that the node does not have.
const noLevel = 1 << 30

// node is an active node while a plan is computed.
type node struct {
	*Node
	ideal, remaining int64    // scaled
	before           int64    // remaining capacity when the run began, of what it may keep
	levels           []int    // ids of its groups in order of priority; none for a group that no volume has
	domains          []int    // ids of its domains, those that some volume has
	has              []uint64 // the same as a set
	owned            []int    // volumes in the order in which they came
	movable          []int    // those of them that may leave, see byGrain; kept by refinement only
}

// volume is a volume while a plan is computed. Node and owner numbers are indexes into state.nodes.
type volume struct {
	*Volume
	size          int64 // scaled weight
	group, domain int
	preferred     int // none if it has none that may own it
	owner         int
	origin        int // the owner that it may keep, none if it is homeless
}

// state is a plan in the making.
type state struct {
	nodes   []node   // active ones, by name
	volumes []volume // all, by name
	order   []int    // nodes in the order of the present step
	scale   int64    // weight of all active nodes
	total   int64    // weight of all volumes in whose domain some active node is
	notes   []Note
	known   map[string]bool // names of all nodes, active or not
	numbers map[string]int  // active nodes by name
	reach   []uint64        // domains that some active node has
	spent   int             // volumes that are not at their origin, homeless ones not counted
	skipped bool            // a move was left out for want of budget
}

// newState sorts and numbers the records. All volumes are without an owner at first.
func newState(nodes []Node, volumes []Volume) (*state, error) {
	if err := check(nodes, volumes); err != nil {
		return nil, err
	}
	s := &state{known: make(map[string]bool, len(nodes))}
	groups, domains := s.number(volumes)
	s.enlist(nodes, groups, domains)
	s.weigh()
	for i := range s.volumes {
		s.prefer(&s.volumes[i])
		s.volumes[i].origin = none
		if at, ok := s.numbers[s.volumes[i].Owner]; ok && s.may(i, at) {
			s.volumes[i].origin = at
		}
	}
	return s, nil
}

// number sorts the volumes and gives numbers to their groups and domains. A volume without a group gets none.
func (s *state) number(volumes []Volume) (groups, domains map[string]int) {
	groups, domains = map[string]int{"": none}, map[string]int{}
	s.volumes = make([]volume, len(volumes))
	for i := range volumes {
		s.volumes[i].Volume = &volumes[i]
	}
	slices.SortFunc(s.volumes, func(a, b volume) int { return natural(a.Name, b.Name) })
	for i := range s.volumes {
		v := &s.volumes[i]
		v.owner = none
		v.group, v.domain = numberOf(groups, v.Group), numberOf(domains, v.Domain)
	}
	return groups, domains
}

func numberOf(numbers map[string]int, name string) int {
	n, ok := numbers[name]
	if !ok {
		n = len(numbers)
		numbers[name] = n
	}
	return n
}

// enlist sorts and numbers the active nodes.
func (s *state) enlist(nodes []Node, groups, domains map[string]int) {
	for i := range nodes {
		s.known[nodes[i].Name] = true
		if nodes[i].Active {
			s.nodes = append(s.nodes, node{Node: &nodes[i]})
		}
	}
	slices.SortFunc(s.nodes, func(a, b node) int { return natural(a.Name, b.Name) })
	s.numbers = make(map[string]int, len(s.nodes))
	s.reach = make([]uint64, len(domains)/64+1)
	for i := range s.nodes {
		n := &s.nodes[i]
		s.numbers[n.Name] = i
		s.order = append(s.order, i)
		for _, g := range n.Groups {
			id, ok := groups[g]
			if !ok || slices.Contains(n.levels, id) {
				id = none
			}
			n.levels = append(n.levels, id)
		}
		n.has = make([]uint64, len(domains)/64+1)
		for _, d := range n.Domains {
			if id, ok := domains[d]; ok && n.has[id/64]&(1<<(id%64)) == 0 {
				n.has[id/64] |= 1 << (id % 64)
				n.domains = append(n.domains, id)
			}
		}
		slices.Sort(n.domains)
		for w := range n.has {
			s.reach[w] |= n.has[w]
		}
	}
}

// weigh computes totals, ideal capacities and sizes.
func (s *state) weigh() {
	for i := range s.nodes {
		s.scale += int64(s.nodes[i].Weight)
	}
	equal := s.scale == 0
	if equal {
		s.scale = int64(len(s.nodes))
	}
	for i := range s.volumes {
		v := &s.volumes[i]
		v.size = int64(v.Weight) * s.scale
		if s.reached(v.domain) {
			s.total += int64(v.Weight)
		}
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		n.ideal = int64(n.Weight) * s.total
		if equal {
			n.ideal = s.total
		}
		n.remaining = n.ideal
	}
}

// reached reports whether some active node has a domain.
func (s *state) reached(domain int) bool { return s.reach[domain/64]&(1<<(domain%64)) != 0 }

func (n *node) inDomain(d int) bool { return n.has[d/64]&(1<<(d%64)) != 0 }

// level returns the place of a group in the node's priorities, noLevel if it has no place.
func (n *node) level(group int) int {
	if group != none {
		for i, g := range n.levels {
			if g == group {
				return i
			}
		}
	}
	return noLevel
}

// prefer finds the volume's preferred node, and takes a note if that node can never own it.
func (s *state) prefer(v *volume) {
	v.preferred = none
	at, active := s.numbers[v.Preferred]
	switch {
	case active && s.nodes[at].inDomain(v.domain):
		v.preferred = at
	case active:
		s.notes = append(s.notes, Note{Volume: v.Name, Node: v.Preferred, Text: NotePreferredDomain})
	case v.Preferred != "" && !s.known[v.Preferred]:
		s.notes = append(s.notes, Note{Volume: v.Name, Node: v.Preferred, Text: NotePreferredUnknown})
	}
}

// may reports whether a node may own a volume.
func (s *state) may(vol, at int) bool {
	v, n := &s.volumes[vol], &s.nodes[at]
	return n.inDomain(v.domain) && (v.CanMigrate || v.preferred == at || n.level(v.group) != noLevel)
}

// assign gives a volume, which may have an owner, to a node.
func (s *state) assign(vol, to int) {
	v := &s.volumes[vol]
	if from := v.owner; from != none {
		n := &s.nodes[from]
		n.remaining += v.size
		n.owned = slices.DeleteFunc(n.owned, func(w int) bool { return w == vol })
	}
	s.spent += s.cost(vol, to)
	v.owner = to
	s.nodes[to].remaining -= v.size
	s.nodes[to].owned = append(s.nodes[to].owned, vol)
}

// cost returns by how much the number of moved volumes changes if a volume goes to a node.
func (s *state) cost(vol, to int) int {
	v := &s.volumes[vol]
	switch {
	case v.origin == none:
		return 0
	case to == v.origin && v.owner != none && v.owner != v.origin:
		return -1
	case to != v.origin && (v.owner == v.origin || v.owner == none):
		return 1
	}
	return 0
}

// resort sorts the nodes by remaining capacity for the next step; ties keep their order.
func (s *state) resort() {
	slices.SortStableFunc(s.order, func(a, b int) int { return cmp.Compare(s.nodes[b].remaining, s.nodes[a].remaining) })
}

// heaviest compares volumes by weight, descending, then by name.
func (s *state) heaviest(a, b int) int {
	return cmp.Or(cmp.Compare(s.volumes[b].size, s.volumes[a].size), cmp.Compare(a, b))
}

// imbalance returns the sum of the absolute remaining capacities, scaled.
func (s *state) imbalance() int64 {
	sum := int64(0)
	for i := range s.nodes {
		sum += abs(s.nodes[i].remaining)
	}
	return sum
}

func abs(x int64) int64 { return max(x, -x) }
