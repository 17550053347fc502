package balance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"
)

func follower(t *testing.T, cfg FollowConfig) *Follower {
	t.Helper()
	f, err := NewFollower(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFollower(t *testing.T) {
	f, now := follower(t, FollowConfig{}), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	weights := map[string]uint64{"v": 10}
	minutes := func(n int, value float64) (changed int) {
		for range n {
			now = now.Add(time.Minute)
			for name, w := range f.Look(map[string]float64{"v": value}, weights, now) {
				weights[name] = w
				changed++
			}
		}
		return changed
	}
	if minutes(60, 12) != 0 || minutes(60, 8) != 0 {
		t.Error("it follows what is within the band")
	}
	if minutes(2, 60) != 0 {
		t.Error("it follows at once")
	}
	minutes(10, 8)
	if weights["v"] != 10 {
		t.Errorf("it follows a peak: %d", weights["v"])
	}
	if n := minutes(60, 60); n < 1 || n > 3 || weights["v"] < 40 || weights["v"] > 60 {
		t.Errorf("%d changes, to %d", n, weights["v"])
	}
	minutes(60, 0)
	if weights["v"] > 2 {
		t.Errorf("what nobody uses weighs %d", weights["v"])
	}
	if len(f.Look(nil, map[string]uint64{}, now)) != 0 || len(f.smooth) != 0 || len(f.out) != 0 {
		t.Error("it remembers what is not followed any more")
	}
	for _, bad := range []FollowConfig{{Band: 0.5}, {Over: -1}, {Hold: -1}} {
		if _, err := NewFollower(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// TestFollowedWeights: volumes of very different demand, measured with noise of a third, are placed by what is measured. The nodes come out even,
// and after that nothing moves any more until demands change for good; then few volumes do, and none goes back and forth.
func TestFollowedWeights(t *testing.T) {
	random, now := rand.New(rand.NewPCG(3, 4)), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var nodes []Node
	for i := range 8 {
		nodes = append(nodes, Node{Name: fmt.Sprint("g", i), Weight: 10, Domains: []string{"all"}, Active: true, Settled: true})
	}
	var volumes []Volume
	demand, weights := map[string]float64{}, map[string]uint64{}
	for i := range 120 {
		name := fmt.Sprint("v", i)
		volumes = append(volumes, Volume{Name: name, Weight: 1, Domain: "all", CanMigrate: true})
		demand[name], weights[name] = 1+random.ExpFloat64()*8, 1
	}
	f, moved := follower(t, FollowConfig{}), map[string][]string{}
	run := func(minutes int) (moves int) {
		for range minutes {
			now = now.Add(time.Minute)
			measured := map[string]float64{}
			for name, d := range demand {
				measured[name] = max(d*(1+random.NormFloat64()/3), 0)
			}
			maps.Copy(weights, f.Look(measured, weights, now))
			for i := range volumes {
				volumes[i].Weight = int(weights[volumes[i].Name])
			}
			p := must(t)(Warm(nodes, volumes, Settings{}))
			adopt(p, volumes)
			for _, m := range p.Moves {
				if m.From != "" {
					moves++
					moved[m.Volume] = append(moved[m.Volume], m.To)
				}
			}
		}
		return moves
	}
	spread := func() (worst float64) {
		load, total := map[string]float64{}, 0.0
		for _, v := range volumes {
			load[v.Owner] += demand[v.Name]
			total += demand[v.Name]
		}
		for _, l := range load {
			worst = max(worst, l/(total/8))
		}
		return worst
	}
	run(1)
	before := spread()
	settling := run(120)
	t.Logf("by equal weights the busiest node has %.2f of the mean, by followed ones %.2f after %d moves", before, spread(), settling)
	if spread() > 1.25 || spread() > before {
		t.Errorf("the busiest node has %.2f of the mean", spread())
	}
	clear(moved)
	quiet := run(600)
	t.Logf("in ten hours of nothing but noise %d volumes move", quiet)
	if quiet > 6 {
		t.Error("weights follow noise")
	}
	for name, to := range moved {
		if len(to) > 2 {
			t.Errorf("%s goes back and forth: %v", name, to)
		}
	}
	for i := range 12 { // a tenth becomes five times as busy
		demand[fmt.Sprint("v", i*10)] *= 5
	}
	after := run(120)
	t.Logf("after a tenth of the demands rose to five times: %.2f of the mean, %d moves", spread(), after)
	if spread() > 1.3 || after > 60 {
		t.Errorf("%.2f of the mean, %d moves", spread(), after)
	}
	if r := Relative(map[string]float64{"a": 100, "b": 300}); r["a"] != 5 || r["b"] != 15 {
		t.Error(r)
	}
}
