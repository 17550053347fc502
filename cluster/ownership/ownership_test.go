package ownership

import (
	"fmt"
	"testing"
	"time"
)

// TestSimulation drives clusters through faults: never two owners, never one outside the domain, at rest in the end.
func TestSimulation(t *testing.T) {
	for _, size := range []struct {
		nodes, volumes, seeds int
		faults                time.Duration // for how long
		every                 time.Duration // mean time between faults
	}{
		{3, 8, 60, 60 * time.Second, 700 * time.Millisecond},
		{12, 60, 12, 60 * time.Second, 300 * time.Millisecond},
		{200, 400, 1, 30 * time.Second, 150 * time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%d nodes", size.nodes), func(t *testing.T) {
			t.Parallel()
			seeds := size.seeds
			if testing.Short() {
				seeds = (seeds + 3) / 4
			}
			events, epochs, txns, moves := 0, 0, 0, 0
			for seed := range uint64(seeds) {
				s := newSim(t, seed, size.nodes, size.volumes)
				s.run(3 * time.Second)
				var next func()
				next = func() {
					s.fault()
					s.after(s.between(0, 2*size.every), next)
				}
				s.after(0, next)
				s.run(s.now + size.faults)
				s.settleDown(90 * time.Second)
				events, epochs, txns, moves = events+s.events, epochs+len(s.taken), txns+s.store.txns, moves+s.moves
			}
			t.Logf("%d events, %d transactions, %d epochs, %d planned moves", events, txns, epochs, moves)
			if epochs < seeds*size.volumes || moves == 0 {
				t.Error("too little happened")
			}
		})
	}
}
