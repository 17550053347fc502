package balance

import (
	"math/rand/v2"
	"testing"
)

// TestOneLeaves: when one node of 1,000 leaves, at most 1.7 times the volumes move that must.
func TestOneLeaves(t *testing.T) {
	for _, h := range shapes {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			worst, all, must0 := 0, 0, 0
			for seed := range uint64(2) {
				nodes, volumes := h.size(1000, 10_000).world(seed)
				adopt(must(t)(Cold(nodes, volumes, Settings{})), volumes)
				rnd := rand.New(rand.NewPCG(seed, 2))
				for range 30 {
					gone := &nodes[rnd.IntN(len(nodes))]
					gone.Active = false
					p := must(t)(Warm(nodes, volumes, Settings{}))
					gone.Active = true
					homeless := 0
					for i := range volumes {
						if volumes[i].Owner == gone.Name {
							homeless++
						}
					}
					all, must0 = all+len(p.Moves), must0+homeless
					worst = max(worst, len(p.Moves)*100/max(homeless, 1))
					if len(p.Moves)*10 > homeless*17 {
						t.Errorf("seed %d: %s (weight %d) leaves: %d volumes must move, %d do", seed, gone.Name, gone.Weight, homeless, len(p.Moves))
					}
				}
			}
			t.Logf("at worst %d %% of what must move, on average %d %%", worst, all*100/must0)
		})
	}
}

func BenchmarkWarm(b *testing.B) {
	for _, h := range shapes {
		b.Run(h.name, func(b *testing.B) {
			nodes, volumes := h.size(1000, 10_000).world(1)
			adopt(must(b)(Cold(nodes, volumes, Settings{})), volumes)
			nodes[0].Active = false
			for b.Loop() {
				must(b)(Warm(nodes, volumes, Settings{}))
			}
		})
	}
}
