package balance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"causeway"
)

func TestRefusedRecords(t *testing.T) {
	many := func(n int) (list []Volume) {
		for i := range n {
			list = append(list, Volume{Name: fmt.Sprint(i)})
		}
		return list
	}
	for name, c := range map[string]struct {
		nodes    []Node
		volumes  []Volume
		settings Settings
		says     string
	}{
		"node without a name":   {nodes: []Node{{}}, says: `node ""`},
		"node named twice":      {nodes: []Node{{Name: "a"}, {Name: "b"}, {Name: "a"}}, says: `node "a"`},
		"node too light":        {nodes: []Node{{Name: "a", Weight: -1}}, says: `node "a": weight -1`},
		"node too heavy":        {nodes: []Node{{Name: "a", Weight: MaxNodeWeight + 1}}, says: `node "a": weight 1001`},
		"too many nodes":        {nodes: make([]Node, MaxNodes+1), says: "4097 nodes"},
		"volume without a name": {volumes: []Volume{{}}, says: `volume ""`},
		"volume named twice":    {volumes: []Volume{{Name: "v"}, {Name: "v"}}, says: `volume "v"`},
		"volume too light":      {volumes: []Volume{{Name: "v", Weight: -1}}, says: `volume "v": weight -1`},
		"volume too heavy":      {volumes: []Volume{{Name: "v", Weight: MaxVolumeWeight + 1}}, says: `volume "v": weight 10001`},
		"too many volumes":      {volumes: many(MaxVolumes + 1), says: "131073 volumes"},
		"band":                  {settings: Settings{Band: 101}, says: "Band"},
		"gain":                  {settings: Settings{Gain: -1}, says: "Gain"},
		"budget":                {settings: Settings{Budget: -2}, says: "Budget"},
	} {
		for _, compute := range []func([]Node, []Volume, Settings) (*Plan, error){Cold, Warm} {
			if _, err := compute(c.nodes, c.volumes, c.settings); !errors.Is(err, causeway.ErrInval) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q", name, err, c.says)
			}
		}
	}
}

// TestHugeWeights computes with the heaviest records that are allowed, on the sums that are the largest: no product may overflow.
func TestHugeWeights(t *testing.T) {
	if testing.Short() {
		t.Skip("a second of work")
	}
	nodes, volumes := make([]Node, MaxNodes), make([]Volume, MaxVolumes)
	for i := range nodes {
		nodes[i] = Node{Name: fmt.Sprint("g", i), Weight: MaxNodeWeight - i%2, Domains: []string{"d"}, Active: true, Settled: true}
	}
	for i := range volumes {
		volumes[i] = Volume{Name: fmt.Sprint("v", i), Weight: MaxVolumeWeight, Domain: "d", CanMigrate: true}
		if i >= MaxVolumes/2 { // one node owns half of all, and may not give it away
			volumes[i].Preferred = "g0"
		}
	}
	p := must(t)(Cold(nodes, volumes, Settings{}))
	total, scale := int64(MaxVolumes)*MaxVolumeWeight, int64(MaxNodes)*MaxNodeWeight-MaxNodes/2
	if want := MaxNodeWeight*total - scale*total/2; p.Scale != scale || p.Capacities[0].Remaining != want {
		t.Errorf("scale %d, want %d; remaining %d, want %d", p.Scale, scale, p.Capacities[0].Remaining, want)
	}
	load := map[string]int64{}
	for _, v := range p.Placements {
		load[v.Owner] += MaxVolumeWeight
	}
	sum, plain := int64(0), uint64(0)
	for i, c := range p.Capacities {
		if want := int64(nodes[i].Weight)*total - scale*load[c.Node]; c.Remaining != want {
			t.Fatalf("%s: remaining %d, want %d", c.Node, c.Remaining, want)
		}
		sum += c.Remaining
		plain += uint64(abs(c.Remaining))
	}
	if sum != 0 || plain != uint64(p.After) || p.After < 0 {
		t.Errorf("capacities sum up to %d, imbalance %d, want %d", sum, p.After, plain)
	}
	adopt(p, volumes)
	if again := must(t)(Warm(nodes, volumes, Settings{})); len(again.Moves) > 0 {
		t.Errorf("%d moves", len(again.Moves))
	}
}

func TestEdges(t *testing.T) {
	node := func(name string, weight int, active bool, domains ...string) Node {
		return Node{Name: name, Weight: weight, Groups: []string{"team"}, Domains: domains, Active: active, Settled: active}
	}
	volume := func(name string, weight int, domain, owner string) Volume {
		return Volume{Name: name, Weight: weight, Domain: domain, Owner: owner, CanMigrate: true}
	}
	stays := volume("s", 1, "d", "")
	stays.CanMigrate = false
	wishes := volume("w", 1, "d", "")
	wishes.Preferred = "b"
	lost := volume("l", 1, "d", "")
	lost.Preferred = "nobody"
	for name, c := range map[string]struct {
		nodes   []Node
		volumes []Volume
		want    string // owners, then unserved, moves and notes
	}{
		"nothing":               {want: ""},
		"no nodes":              {volumes: []Volume{volume("v", 1, "d", "a")}, want: "v: no node is active; v a→: its owner is not active"},
		"no active node":        {nodes: []Node{node("a", 1, false, "d")}, volumes: []Volume{volume("v", 1, "d", "")}, want: "v: no node is active"},
		"no volumes":            {nodes: []Node{node("a", 1, true, "d")}, want: ""},
		"one node":              {nodes: []Node{node("a", 1, true, "d")}, volumes: []Volume{volume("v", 1, "d", "")}, want: "v@a; v →a: had no owner"},
		"no weights of nodes":   {nodes: []Node{node("a", 0, true, "d"), node("b", 0, true, "d")}, volumes: []Volume{volume("v1", 1, "d", "a"), volume("v2", 1, "d", "a")}, want: "v1@b; v2@a; v1 a→b: evens the load"},
		"a node without weight": {nodes: []Node{node("a", 0, true, "d"), node("b", 1, true, "d")}, volumes: []Volume{volume("v", 1, "d", "")}, want: "v@b; v →b: had no owner"},
		"no weights of volumes": {nodes: []Node{node("a", 1, true, "d"), node("b", 1, true, "d")}, volumes: []Volume{volume("v1", 0, "d", ""), volume("v2", 0, "d", "")}, want: "v1@a; v2@b; v1 →a: had no owner; v2 →b: had no owner"},
		"no such domain":        {nodes: []Node{node("a", 1, true, "d")}, volumes: []Volume{volume("v", 1, "e", "a")}, want: "v: no active node has its domain; v a→: its owner may no longer own it"},
		"must not migrate":      {nodes: []Node{node("a", 1, true, "d")}, volumes: []Volume{stays}, want: "s: it may not migrate, and no active node of its domain has its group"},
		"wish outside domain":   {nodes: []Node{node("a", 1, true, "d"), node("b", 1, true, "e")}, volumes: []Volume{wishes}, want: "w@a; w →a: had no owner; w b? the preferred node does not have the volume's domain"},
		"wish for a stranger":   {nodes: []Node{node("a", 1, true, "d")}, volumes: []Volume{lost}, want: "l@a; l →a: had no owner; l nobody? the preferred node is not known"},
		"wish for an idle node": {nodes: []Node{node("a", 1, true, "d"), node("b", 1, false, "d")}, volumes: []Volume{wishes}, want: "w@a; w →a: had no owner"},
	} {
		t.Run(name, func(t *testing.T) {
			p := must(t)(Warm(c.nodes, c.volumes, Settings{}))
			verify(t, p, c.nodes, c.volumes)
			var got []string
			for _, x := range p.Placements {
				got = append(got, x.Volume+"@"+x.Owner)
			}
			for _, x := range p.Unserved {
				got = append(got, fmt.Sprintf("%s: %s", x.Volume, x.Reason))
			}
			for _, x := range p.Moves {
				got = append(got, fmt.Sprintf("%s %s→%s: %s", x.Volume, x.From, x.To, x.Reason))
			}
			for _, x := range p.Notes {
				got = append(got, fmt.Sprintf("%s %s? %s", x.Volume, x.Node, x.Text))
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("%s\nwant %s", s, c.want)
			}
			again := slices.Clone(c.volumes)
			adopt(p, again)
			if q := must(t)(Warm(c.nodes, again, Settings{})); len(q.Moves) > 0 {
				t.Errorf("a second run moves %v", q.Moves)
			}
		})
	}
}
