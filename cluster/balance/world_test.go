package balance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// shape is a kind of cluster.
type shape struct {
	name           string
	nodes, volumes int
	nodeWeight     int // 1 to this
	volumeWeight   int // 1 to this
	heavy          int // one volume of so many has ten times the weight; 0 for none
	domains        int // each node is in some of so many, each volume in one
	groups         int
	preferred      int // percent of the volumes with a preferred node
	stays          int // percent of the volumes that may not migrate
	crowded        int // percent of the volumes that are in the first domain whatever chance says
}

var shapes = []shape{
	{name: "plain", nodeWeight: 1, volumeWeight: 100, domains: 1, groups: 1},
	{name: "weights", nodeWeight: 4, volumeWeight: 100, domains: 1, groups: 1},
	{name: "small weights", nodeWeight: 1, volumeWeight: 20, domains: 1, groups: 1},
	{name: "groups", nodeWeight: 4, volumeWeight: 100, domains: 1, groups: 8},
	{name: "domains", nodeWeight: 3, volumeWeight: 100, domains: 6, groups: 4},
	{name: "heavy", nodeWeight: 3, volumeWeight: 60, heavy: 100, domains: 1, groups: 3},
	{name: "stays", nodeWeight: 2, volumeWeight: 100, domains: 4, groups: 6, stays: 30},
	{name: "preferred", nodeWeight: 3, volumeWeight: 100, domains: 3, groups: 4, preferred: 30, stays: 5},
	{name: "crowded", nodeWeight: 3, volumeWeight: 100, domains: 5, groups: 4, crowded: 80},
	{name: "all", nodeWeight: 3, volumeWeight: 100, heavy: 200, domains: 5, groups: 4, preferred: 10, stays: 10, crowded: 10},
}

// world makes records of a shape; the same seed gives the same records.
func (h shape) world(seed uint64) ([]Node, []Volume) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	nodes, volumes := make([]Node, h.nodes), make([]Volume, h.volumes)
	for i := range nodes {
		n := Node{Name: fmt.Sprint("g", i+1), Weight: 1 + rnd.IntN(h.nodeWeight), Active: true, Settled: true}
		for _, d := range rnd.Perm(h.domains)[:1+rnd.IntN(h.domains)] {
			n.Domains = append(n.Domains, fmt.Sprint("d", d))
		}
		for _, g := range rnd.Perm(h.groups)[:1+rnd.IntN(min(h.groups, 3))] {
			n.Groups = append(n.Groups, fmt.Sprint("team", g))
		}
		nodes[i] = n
	}
	for i := range volumes {
		v := Volume{Name: fmt.Sprint("v", i+1), Weight: 1 + rnd.IntN(h.volumeWeight), CanMigrate: rnd.IntN(100) >= h.stays}
		if h.heavy > 0 && rnd.IntN(h.heavy) == 0 {
			v.Weight *= 10
		}
		v.Domain, v.Group = fmt.Sprint("d", rnd.IntN(h.domains)), fmt.Sprint("team", rnd.IntN(h.groups))
		if rnd.IntN(100) < h.crowded {
			v.Domain = "d0"
		}
		if rnd.IntN(100) < h.preferred {
			v.Preferred = nodes[rnd.IntN(h.nodes)].Name
		}
		volumes[i] = v
	}
	return nodes, volumes
}

func (h shape) size(nodes, volumes int) shape {
	h.nodes, h.volumes = nodes, volumes
	return h
}

// adopt makes the plan's owners the present ones.
func adopt(p *Plan, volumes []Volume) {
	for i := range volumes {
		volumes[i].Owner = p.Owner(volumes[i].Name)
	}
}

func must(t testing.TB) func(p *Plan, err error) *Plan {
	return func(p *Plan, err error) *Plan {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

// verify recomputes from the records alone what must hold for every plan.
func verify(t testing.TB, p *Plan, nodes []Node, volumes []Volume) {
	t.Helper()
	active := map[string]*Node{}
	for i := range nodes {
		if nodes[i].Active {
			active[nodes[i].Name] = &nodes[i]
		}
	}
	fits := func(v *Volume, n *Node) bool {
		return n != nil && slices.Contains(n.Domains, v.Domain) &&
			(v.CanMigrate || v.Preferred == n.Name || v.Group != "" && slices.Contains(n.Groups, v.Group))
	}
	unserved, moves, load, total := map[string]bool{}, map[string]Move{}, map[string]int64{}, int64(0)
	for _, u := range p.Unserved {
		unserved[u.Volume] = true
	}
	for _, m := range p.Moves {
		moves[m.Volume] = m
	}
	if len(p.Placements)+len(p.Unserved) != len(volumes) || len(unserved) != len(p.Unserved) || len(moves) != len(p.Moves) {
		t.Fatalf("%d placed, %d unserved of %d", len(p.Placements), len(p.Unserved), len(volumes))
	}
	for i := range volumes {
		v := &volumes[i]
		owner, served, reached := p.Owner(v.Name), false, false
		for _, n := range active {
			served = served || fits(v, n)
			reached = reached || slices.Contains(n.Domains, v.Domain)
		}
		if reached {
			total += int64(v.Weight)
		}
		if served == unserved[v.Name] || served != (owner != "") || served && !fits(v, active[owner]) {
			t.Fatalf("%+v: owner %q, could be served %v, reported as unserved %v", *v, owner, served, unserved[v.Name])
		}
		if m, moved := moves[v.Name]; moved != (owner != v.Owner) || moved && (m.From != v.Owner || m.To != owner || m.Reason == "") {
			t.Fatalf("%+v: owner %q, move %+v", *v, owner, m)
		}
		load[owner] += int64(v.Weight)
	}
	scale, sum := int64(0), int64(0)
	for _, n := range active {
		scale += int64(n.Weight)
	}
	for _, c := range p.Capacities {
		weight := int64(active[c.Node].Weight)
		if scale == 0 {
			weight = 1
		}
		if c.Ideal != weight*total || c.Remaining != c.Ideal-p.Scale*load[c.Node] {
			t.Fatalf("%+v: weight %d, total %d, load %d, scale %d", c, weight, total, load[c.Node], p.Scale)
		}
		sum += abs(c.Remaining)
	}
	if len(p.Capacities) != len(active) || p.After != sum || scale != 0 && p.Scale != scale {
		t.Fatalf("%d capacities of %d, imbalance %d and %d", len(p.Capacities), len(active), p.After, sum)
	}
}
