package balance

import (
	"slices"
	"testing"
)

// TestPairwiseRules checks the rules of step 1166 one by one.
func TestPairwiseRules(t *testing.T) {
	node := func(name string, groups ...string) Node {
		return Node{Name: name, Weight: 1, Groups: groups, Domains: []string{"d"}, Active: true}
	}
	volume := func(name string, weight int, group, owner string) Volume {
		return Volume{Name: name, Weight: weight, Group: group, Domain: "d", CanMigrate: true, Owner: owner}
	}
	at := func(v Volume, change func(v *Volume)) Volume {
		change(&v)
		return v
	}
	for name, c := range map[string]struct {
		nodes   []Node
		volumes []Volume
		want    []Move
	}{
		"the sum falls": {
			nodes:   []Node{node("a"), node("b")},
			volumes: []Volume{volume("v1", 1, "", "a"), volume("v2", 1, "", "a")},
			want:    []Move{{"v1", "a", "b", MoveBalance}},
		},
		"lighter volumes first": {
			nodes:   []Node{node("a"), node("b")},
			volumes: []Volume{volume("v1", 3, "", "a"), volume("v2", 2, "", "a"), volume("v3", 1, "", "a")},
			want:    []Move{{"v2", "a", "b", MoveBalance}, {"v3", "a", "b", MoveBalance}},
		},
		"those of the least priority first": {
			nodes:   []Node{node("a", "first", "second"), node("b")},
			volumes: []Volume{volume("v1", 1, "first", "a"), volume("v2", 1, "second", "a"), volume("v3", 1, "first", "a")},
			want:    []Move{{"v2", "a", "b", MoveBalance}},
		},
		"those of no group before": {
			nodes:   []Node{node("a", "first"), node("b")},
			volumes: []Volume{volume("v1", 1, "first", "a"), volume("v2", 2, "", "a"), volume("v3", 1, "first", "a")},
			want:    []Move{{"v2", "a", "b", MoveBalance}},
		},
		"not from a preferred node": {
			nodes: []Node{node("a"), node("b")},
			volumes: []Volume{at(volume("v1", 1, "", "a"), func(v *Volume) { v.Preferred = "a" }),
				at(volume("v2", 1, "", "a"), func(v *Volume) { v.Preferred = "a" })},
		},
		"not outside the domain": {
			nodes:   []Node{node("a"), {Name: "b", Weight: 1, Domains: []string{"e"}, Active: true}},
			volumes: []Volume{volume("v1", 1, "", "a"), volume("v2", 1, "", "a")},
		},
		"not without the group if it must not migrate": {
			nodes:   []Node{node("a", "team"), node("b", "team"), node("c")},
			volumes: []Volume{at(volume("v1", 2, "team", "a"), func(v *Volume) { v.CanMigrate = false }), at(volume("v2", 2, "team", "a"), func(v *Volume) { v.CanMigrate = false })},
			want:    []Move{{"v1", "a", "b", MoveBalance}},
		},
		"the sum stays, more even": {
			nodes:   []Node{node("a"), node("b"), node("c")},
			volumes: []Volume{at(volume("v1", 12, "", "c"), func(v *Volume) { v.Preferred = "c" }), volume("v2", 2, "", "a"), volume("v3", 2, "", "a")},
			want:    []Move{{"v2", "a", "b", MoveBalance}},
		},
		"not only the other way round": {
			nodes:   []Node{node("a"), node("b")},
			volumes: []Volume{volume("v", 1, "", "a")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := must(t)(Pairwise(c.nodes, c.volumes, 1))
			verifyOwners(t, p, c.nodes)
			if !slices.Equal(p.Moves, c.want) || p.After > p.Before {
				t.Errorf("moves %v, want %v; imbalance %d, before %d", p.Moves, c.want, p.After, p.Before)
			}
		})
	}
}

func verifyOwners(t *testing.T, p *Plan, nodes []Node) {
	for _, x := range p.Placements {
		if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == x.Owner && n.Active }) {
			t.Errorf("%+v: not an active node", x)
		}
	}
}

// TestPairwiseFalls: round by round the sum never rises, and no round means no move; the refinement that stands in its place is better.
func TestPairwiseFalls(t *testing.T) {
	for _, h := range shapes {
		nodes, volumes := h.size(30, 300).world(5)
		s, err := newState(nodes, volumes)
		if err != nil {
			t.Fatal(err)
		}
		s.remember()
		s.steps(func(string) {})
		start := s.plan()
		adopt(start, volumes)
		if p := must(t)(Pairwise(nodes, volumes, 0)); len(p.Moves) > 0 {
			t.Fatalf("%s: moves in no round: %v", h.name, p.Moves)
		}
		last, rounds := start.After, 0
		for ; ; rounds++ {
			p := must(t)(Pairwise(nodes, volumes, 1))
			verify(t, p, nodes, volumes)
			adopt(p, volumes)
			if p.After > last {
				t.Fatalf("%s, round %d: the sum rises from %d to %d", h.name, rounds, last, p.After)
			}
			if p.After == last {
				break
			}
			last = p.After
		}
		cold := must(t)(Cold(nodes, volumes, Settings{}))
		t.Logf("%s: %d rounds, from %d to %d; refined %d", h.name, rounds, start.After, last, cold.After)
		if rounds == 0 || cold.After > last {
			t.Errorf("%s: %d rounds, from %d to %d; refined %d", h.name, rounds, start.After, last, cold.After)
		}
	}
}

func BenchmarkPairwise(b *testing.B) {
	nodes, volumes := shapes[1].size(1000, 10_000).world(1)
	s, err := newState(nodes, volumes)
	if err != nil {
		b.Fatal(err)
	}
	s.steps(func(string) {})
	adopt(s.plan(), volumes)
	for b.Loop() {
		p := must(b)(Pairwise(nodes, volumes, 20))
		b.ReportMetric(float64(p.After)/float64(s.total*s.scale)*100, "%off")
	}
}
