package redirect_test

import (
	"fmt"
	"testing"
	"time"

	"causeway/redirect"
)

// TestEvenSites: clients of a site are shared by the gateways of that site, and those that are elsewhere go to their site first.
func TestEvenSites(t *testing.T) {
	s := redirect.State{Now: time.Now(), Volumes: map[string]redirect.Volume{"v": {Name: "v"}}}
	for i, site := range []string{"paris", "paris", "rome", "rome"} {
		s.Nodes = append(s.Nodes, redirect.Node{Name: fmt.Sprint("g", i), Site: site, Utilization: 100, Interval: time.Second, Threshold: 80})
	}
	s.Nodes[0].Clients = 16
	for i := range 16 {
		site := "paris"
		if i >= 10 {
			site = "rome"
		}
		s.Uses = append(s.Uses, redirect.Use{Client: fmt.Sprintf("c%02d", i), Volume: "v", Load: 6, Means: redirect.Aware, Site: site})
	}
	p, err := redirect.NewPlanner("g0", redirect.Config{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range p.Plan(s) {
		if rome := m.Client >= "c10"; rome != (m.To > "g1") {
			t.Errorf("%s goes to %s", m.Client, m.To)
		}
		got[m.To]++
	}
	if got["g1"] < 5 || got["g2"]+got["g3"] < 4 {
		t.Error(got)
	}
}

// TestEven: four gateways that are as busy as they can be share their clients by number and weight, all but the last one in one report, and then
// leave them alone.
func TestEven(t *testing.T) {
	now := time.Now()
	counts, weights := []int{32, 0, 0, 0}, []float64{1, 1, 1, 1}
	for _, test := range []struct {
		counts  []int
		weights []float64
		want    []int
	}{
		{counts, weights, []int{8, 8, 8, 8}},
		{[]int{20, 4, 4, 4}, weights, []int{8, 8, 8, 8}},
		{[]int{9, 8, 8, 7}, weights, []int{8, 8, 8, 8}},
		{[]int{8, 8, 8, 9}, weights, []int{8, 8, 8, 9}}, // its own share is not exceeded by a whole one
		{[]int{30, 0, 0, 0}, []float64{1, 1, 1, 2}, []int{6, 6, 6, 12}},
	} {
		s := redirect.State{Now: now, Volumes: map[string]redirect.Volume{"v": {Name: "v"}}}
		for i, n := range test.counts {
			s.Nodes = append(s.Nodes, redirect.Node{Name: fmt.Sprint("g", i), Utilization: 100, Interval: time.Second, Threshold: 80, Capacity: test.weights[i], Clients: n})
		}
		for i := range test.counts[0] {
			s.Uses = append(s.Uses, redirect.Use{Client: fmt.Sprint("c", i), Volume: "v", Load: 100 / float64(test.counts[0]), Means: redirect.Aware})
		}
		p, err := redirect.NewPlanner("g0", redirect.Config{Spread: 2})
		if err != nil {
			t.Fatal(err)
		}
		got := append([]int(nil), test.counts...)
		for range 2 {
			for _, m := range p.Plan(s) {
				got[0]--
				got[m.To[1]-'0']++
			}
			for i := range got {
				s.Nodes[i].Clients = got[i]
			}
			s.Now = s.Now.Add(4 * time.Second)
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%v become %v, not %v", test.counts, got, test.want)
		}
		s.Nodes[0].Clients, s.Uses = got[0], s.Uses[test.counts[0]-got[0]:]
		if again := p.Plan(s); len(again) > 0 {
			t.Errorf("%v: with the same reports it goes on: %v", test.counts, again)
		}
		s.Nodes[0].Utilization = 70 // no longer over its threshold
		s.Nodes[0].Clients = 100
		if calm := p.Plan(s); len(calm) > 0 {
			t.Errorf("a gateway that is not over its threshold sends %v", calm)
		}
	}
}

// TestEvenPause: clients of another gateway that pause for a moment, so that it reports fewer, move nobody there; those that stay away do.
func TestEvenPause(t *testing.T) {
	now := time.Now()
	p, err := redirect.NewPlanner("g0", redirect.Config{Spread: 2})
	if err != nil {
		t.Fatal(err)
	}
	plan := func(elsewhere int) int {
		now = now.Add(time.Second)
		s := redirect.State{Now: now, Volumes: map[string]redirect.Volume{"v": {Name: "v"}}}
		for i, n := range []int{8, 8, 8, elsewhere} {
			s.Nodes = append(s.Nodes, redirect.Node{Name: fmt.Sprint("g", i), Utilization: 100, Interval: time.Second, Threshold: 80, Clients: n})
		}
		for i := range 8 {
			s.Uses = append(s.Uses, redirect.Use{Client: fmt.Sprint("c", i), Volume: "v", Load: 12, Means: redirect.Aware})
		}
		return len(p.Plan(s))
	}
	for i, n := range []int{8, 4, 4, 8, 4, 4, 4, 8, 8} {
		if moved := plan(n); moved > 0 {
			t.Errorf("report %d: %d clients are moved to one whose clients pause", i, moved)
		}
	}
	moved := 0
	for range 5 {
		moved += plan(4)
	}
	if moved != 1 {
		t.Errorf("%d clients are moved to one that has room", moved)
	}
}
