package balance

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// records makes small records of arbitrary bytes: odd ones, but none that must be refused.
func records(data []byte) (nodes []Node, volumes []Volume, settings Settings) {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	list := func(kind string, bits int) (names []string) {
		for i := range 4 {
			if bits&(1<<i) != 0 {
				names = append(names, fmt.Sprint(kind, i))
			}
		}
		if bits&16 != 0 {
			slices.Reverse(names)
		}
		return names
	}
	settings = Settings{Band: 1 + next()%20, Gain: 1 + next()%100, Budget: next() % 6, Thorough: next()%2 == 0}
	for i := range next() % 8 {
		flags := next()
		nodes = append(nodes, Node{Name: fmt.Sprint("g", i), Weight: next() % 5 * (1 + flags>>4*16), Groups: list("team", next()), Domains: list("d", next()), Active: flags&3 != 0, Settled: flags&4 == 0})
	}
	for i := range next() % 40 {
		flags := next()
		v := Volume{Name: fmt.Sprint("v", i), Weight: next() * (1 + flags>>5*5), Group: fmt.Sprint("team", next()%5), Domain: fmt.Sprint("d", next()%5), CanMigrate: flags&3 != 0}
		if flags&4 != 0 {
			v.Preferred = fmt.Sprint("g", next()%9)
		}
		if flags&8 != 0 {
			v.Owner = fmt.Sprint("g", next()%9)
		}
		volumes = append(volumes, v)
	}
	return nodes, volumes, settings
}

// FuzzPlans checks on arbitrary records that all plans are valid and do not depend on the order of records, that budgets hold, that the
// imbalance never rises where that is promised, and that adopted plans stay.
func FuzzPlans(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		data := make([]byte, 50+rnd.IntN(250))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		nodes, volumes, settings := records(data)
		shuffledNodes, shuffledVolumes := slices.Clone(nodes), slices.Clone(volumes)
		rnd := rand.New(rand.NewPCG(uint64(len(data)), 3))
		rnd.Shuffle(len(nodes), func(i, j int) { shuffledNodes[i], shuffledNodes[j] = shuffledNodes[j], shuffledNodes[i] })
		rnd.Shuffle(len(volumes), func(i, j int) {
			shuffledVolumes[i], shuffledVolumes[j] = shuffledVolumes[j], shuffledVolumes[i]
		})
		for _, compute := range []func([]Node, []Volume, Settings) (*Plan, error){Cold, Warm, pairwiseOnce} {
			p := must(t)(compute(nodes, volumes, settings))
			if q := must(t)(compute(shuffledNodes, shuffledVolumes, settings)); !reflect.DeepEqual(p, q) {
				t.Fatalf("the order of the records matters:\n%+v\n%+v", p, q)
			}
		}
		cold := must(t)(Cold(nodes, volumes, settings))
		verify(t, cold, nodes, volumes)
		checkWarm(t, nodes, volumes, settings)
		adopt(cold, volumes)
		if p := must(t)(Warm(nodes, volumes, Settings{Band: settings.Band, Gain: settings.Gain})); len(p.Moves) > 0 {
			t.Fatalf("a warm start on a cold start moves %v", p.Moves)
		}
		if p := must(t)(pairwiseOnce(nodes, volumes, settings)); p.After > cold.After {
			t.Fatalf("the pairwise balancing raises the imbalance from %d to %d", cold.After, p.After)
		}
	})
}

func pairwiseOnce(nodes []Node, volumes []Volume, _ Settings) (*Plan, error) {
	return Pairwise(nodes, volumes, 10)
}

func checkWarm(t *testing.T, nodes []Node, volumes []Volume, settings Settings) {
	volumes = slices.Clone(volumes)
	for run := 0; ; run++ {
		p := must(t)(Warm(nodes, volumes, settings))
		verify(t, p, nodes, volumes)
		moved := 0
		for _, m := range p.Moves {
			if m.Reason == MoveBalance || m.Reason == MoveFailback {
				moved++
				i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == m.To })
				if !nodes[i].Settled {
					t.Fatalf("%+v goes to a node that is not settled", m)
				}
			}
		}
		if moved > settings.Budget && settings.Budget != 0 {
			t.Fatalf("%d moves, budget %d", moved, settings.Budget)
		}
		adopt(p, volumes)
		if !p.Deferred {
			if moved > 0 && settings.Thorough {
				continue
			}
			settings.Thorough = false
			if q := must(t)(Warm(nodes, volumes, settings)); len(q.Moves) > 0 {
				t.Fatalf("a second run moves %v", q.Moves)
			}
			return
		}
		if moved == 0 || run > 1000 {
			t.Fatalf("run %d: a plan is deferred, and moves %d", run, moved)
		}
	}
}

// TestOrderOfRecords shuffles larger records, and the domains within them.
func TestOrderOfRecords(t *testing.T) {
	for _, h := range shapes {
		nodes, volumes := h.size(100, 1500).world(11)
		nodes[3].Active, nodes[4].Settled = false, false
		for i := range volumes {
			if i%3 > 0 {
				volumes[i].Owner = nodes[i*7%len(nodes)].Name
			}
		}
		rnd := rand.New(rand.NewPCG(4, 4))
		for name, compute := range map[string]func([]Node, []Volume, Settings) (*Plan, error){"cold": Cold, "warm": Warm, "pairwise": pairwiseOnce} {
			want := must(t)(compute(nodes, volumes, Settings{}))
			for range 3 {
				rnd.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
				rnd.Shuffle(len(volumes), func(i, j int) { volumes[i], volumes[j] = volumes[j], volumes[i] })
				for _, n := range nodes {
					rnd.Shuffle(len(n.Domains), func(i, j int) { n.Domains[i], n.Domains[j] = n.Domains[j], n.Domains[i] })
				}
				if got := must(t)(compute(nodes, volumes, Settings{})); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s, %s: the order of the records matters", h.name, name)
				}
			}
		}
	}
}
