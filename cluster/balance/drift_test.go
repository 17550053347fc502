package balance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// life is a cluster to which things happen; every plan is adopted.
type life struct {
	shape
	t       *testing.T
	rnd     *rand.Rand
	nodes   []Node
	volumes []Volume
	born    int
	moves   int
}

// happen changes one thing.
func (l *life) happen() string {
	n, v := &l.nodes[l.rnd.IntN(len(l.nodes))], l.rnd.IntN(len(l.volumes))
	switch l.rnd.IntN(8) {
	case 0, 1: // leaves, or comes back and is not settled yet
		n.Active, n.Settled = !n.Active, false
	case 2, 3:
		l.endHoldDowns()
	case 4:
		n.Weight = 1 + l.rnd.IntN(l.nodeWeight)
	case 5:
		l.volumes[v].Weight = 1 + l.rnd.IntN(l.volumeWeight)
	case 6:
		l.volumes = slices.Delete(l.volumes, v, v+1)
	case 7:
		_, more := l.size(1, 1).world(l.rnd.Uint64())
		l.born++
		more[0].Name, more[0].Preferred = fmt.Sprint("new", l.born), ""
		l.volumes = append(l.volumes, more[0])
	}
	return n.Name
}

func (l *life) endHoldDowns() {
	for i := range l.nodes {
		l.nodes[i].Settled = l.nodes[i].Active
	}
}

// adapt runs warm starts until there is nothing left to do.
func (l *life) adapt(s Settings) *Plan {
	for range 100 {
		p := must(l.t)(Warm(l.nodes, l.volumes, s))
		verify(l.t, p, l.nodes, l.volumes)
		adopt(p, l.volumes)
		l.moves += len(p.Moves)
		if !p.Deferred {
			return p
		}
	}
	l.t.Fatal("a hundred runs were not enough")
	return nil
}

// TestDrift lets six thousand things happen, to clusters of all shapes. Once hold-downs have ended, the warm start alone stays, on average,
// within the dead band (5 % of the total weight) of what a cold start would reach, and always within twice that and the weight of one
// volume: single moves do not go by way of a third node. The thorough warm start does, see TestThorough. And when nothing happens,
// nothing moves.
func TestDrift(t *testing.T) {
	for i, h := range shapes {
		for _, seed := range []uint64{4, 7} {
			t.Run(fmt.Sprint(h.name, "/", seed), func(t *testing.T) {
				t.Parallel()
				h := h.size(24, 300)
				l := &life{shape: h, t: t, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
				l.nodes, l.volumes = h.world(seed)
				l.drift(300)
			})
		}
	}
}

func (l *life) drift(events int64) {
	worst, sum, looks := int64(0), int64(0), int64(0)
	for event := range events {
		l.happen()
		l.adapt(Settings{Budget: 60})
		if again := must(l.t)(Warm(l.nodes, l.volumes, Settings{})); len(again.Moves) > 0 {
			l.t.Fatalf("event %d: a second run moves %v", event, again.Moves)
		}
		if event%10 != 0 {
			continue
		}
		l.endHoldDowns()
		off := l.compare(l.adapt(Settings{Budget: 60}))
		worst, sum, looks = max(worst, off), sum+off, looks+1
	}
	if sum/looks > 50 {
		l.t.Errorf("on average %d/1000 of the total weight above a cold start", sum/looks)
	}
	l.t.Logf("above a cold start: on average %d/1000, at worst %d/1000 of the total weight; %d moves", sum/looks, worst, l.moves)
}

// compare returns by how many thousandths of the total weight a plan is worse than a cold start.
func (l *life) compare(p *Plan) int64 {
	cold := must(l.t)(Cold(l.nodes, l.volumes, Settings{}))
	total, heaviest := int64(0), 0
	for _, c := range p.Capacities {
		total += c.Ideal
	}
	for i := range l.volumes {
		heaviest = max(heaviest, l.volumes[i].Weight)
	}
	if p.After-cold.After > total/10+int64(heaviest)*p.Scale {
		l.t.Fatalf("imbalance %d, of a cold start %d, total %d, scale %d", p.After, cold.After, total, p.Scale)
	}
	return (p.After - cold.After) * 1000 / max(total, 1)
}
