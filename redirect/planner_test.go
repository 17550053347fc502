package redirect_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/redirect"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func planner(t testing.TB, self string, cfg redirect.Config) *redirect.Planner {
	t.Helper()
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(1, 2))
	}
	p, err := redirect.NewPlanner(self, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// worked is the example of the design: node 4 is over its threshold, and three clients use it.
func worked() redirect.State {
	all := []string{redirect.All}
	return redirect.State{
		Now: noon,
		Nodes: []redirect.Node{
			{Name: "CFN1", Interval: time.Minute, Threshold: 95, Utilization: 45, Domains: all},
			{Name: "CFN2", Interval: time.Minute, Threshold: 75, Utilization: 45, Domains: all},
			{Name: "CFN3", Interval: 2 * time.Minute, Threshold: 50, Utilization: 0, Domains: all},
			{Name: "CFN4", Interval: time.Minute, Threshold: 80, Utilization: 95, Domains: all},
		},
		Volumes: map[string]redirect.Volume{
			"Source Code": {Name: "Source Code"}, "Backups": {Name: "Backups"}, "Finance": {Name: "Finance"}, "Contacts": {Name: "Contacts"},
		},
		Uses: []redirect.Use{ // of CFN4's 95 %
			{Client: "normal 1", Volume: "Backups", Load: 30, Means: redirect.DNS},
			{Client: "normal 2", Volume: "Finance", Load: 20, Means: redirect.DNS},
			{Client: "normal 2", Volume: "Contacts", Load: 20, Means: redirect.DNS},
			{Client: "aware 3", Volume: "Source Code", Load: 25, Means: redirect.Aware},
		},
	}
}

// TestWorkedExample: aware 3 goes to node 3 with Source Code, after which node 3 is at 25 % and node 4 at 70 %; the others are as before.
func TestWorkedExample(t *testing.T) {
	after := func(s redirect.State, moves []redirect.Move) map[string]float64 {
		out := map[string]float64{}
		for _, n := range s.Nodes {
			out[n.Name] = n.Utilization
		}
		for _, m := range moves {
			out[m.From] -= m.Load
			out[m.To] += m.Load
		}
		return out
	}
	threes := 0
	for seed := range uint64(100) {
		s := worked()
		p := planner(t, "CFN4", redirect.Config{Spread: 2, Rand: rand.New(rand.NewPCG(seed, 1))})
		moves := p.Plan(s)
		if len(moves) != 1 || moves[0].Client != "aware 3" || moves[0].Volume != "Source Code" || moves[0].Means != redirect.Aware {
			t.Fatalf("%+v", moves)
		}
		figures := after(s, moves)
		if figures["CFN4"] != 70 {
			t.Fatalf("%v", figures)
		}
		if moves[0].To == "CFN3" {
			threes++
		}
		if again := p.Plan(s); len(again) != 0 {
			t.Fatalf("with the same reports it goes on: %+v", again)
		}
	}
	s := worked()
	moves := planner(t, "CFN4", redirect.Config{}).Plan(s)
	figures := after(s, moves)
	if len(moves) != 1 || moves[0].To != "CFN3" || figures["CFN1"] != 45 || figures["CFN2"] != 45 || figures["CFN3"] != 25 || figures["CFN4"] != 70 {
		t.Errorf("%+v %v", moves, figures)
	}
	for _, n := range []string{"CFN1", "CFN2", "CFN3"} {
		if moves := planner(t, n, redirect.Config{}).Plan(worked()); len(moves) != 0 {
			t.Errorf("%s is not over its threshold: %+v", n, moves)
		}
	}
	t.Logf("chosen by chance, node 3 is taken %d times of 100", threes)
}

func TestWhoGoes(t *testing.T) {
	for _, test := range []struct {
		name   string
		cfg    redirect.Config
		change func(*redirect.State)
		want   []redirect.Move // Load and From do not count
	}{
		{"not over", redirect.Config{}, func(s *redirect.State) { s.Nodes[3].Utilization = 80 }, nil},
		{"aware first, then by protocol, then by DNS", redirect.Config{}, func(s *redirect.State) {
			s.Nodes[3].Threshold, s.Uses[0].Means = 10, redirect.Protocol
			s.Nodes[2].Threshold, s.Nodes[0].Draining, s.Nodes[1].Draining = 100, true, true
		}, []redirect.Move{
			{Client: "aware 3", Volume: "Source Code", To: "CFN3", Means: redirect.Aware},
			{Client: "normal 1", Volume: "Backups", To: "CFN3", Means: redirect.Protocol},
		}},
		{"moved a moment ago", redirect.Config{Budget: 1}, func(s *redirect.State) { s.Uses[3].Moved = noon.Add(-time.Minute) },
			[]redirect.Move{{Client: "normal 2", Volume: "Contacts", To: "CFN3", Means: redirect.DNS}}},
		{"where it finds nobody", redirect.Config{}, func(s *redirect.State) {
			s.Nodes[0].Threshold, s.Nodes[1].Threshold, s.Nodes[2].Closed = 100, 100, true
			s.Uses = s.Uses[3:]
			s.Nodes[0].Utilization = 90
		}, []redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN2", Means: redirect.Aware}}},
		{"volume's domain", redirect.Config{}, func(s *redirect.State) {
			s.Uses = s.Uses[3:]
			s.Volumes["Source Code"] = redirect.Volume{Name: "Source Code", Domain: "paris"}
			s.Nodes[0].Domains = []string{"paris"}
		}, []redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN1", Means: redirect.Aware}}},
		{"client's domain", redirect.Config{}, func(s *redirect.State) {
			s.Uses = s.Uses[3:]
			s.Uses[0].Domain = "nowhere"
		}, nil},
		{"site first", redirect.Config{}, func(s *redirect.State) { s.Uses[3].Site, s.Nodes[0].Site = "x", "x" },
			[]redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN1", Means: redirect.Aware}}},
		{"one of a gateway's sites", redirect.Config{}, func(s *redirect.State) { s.Uses[3].Site, s.Nodes[0].Sites = "x", []string{"w", "x"} },
			[]redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN1", Means: redirect.Aware}}},
		{"nobody at the site", redirect.Config{}, func(s *redirect.State) { s.Uses[3].Site = "x" },
			[]redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN3", Means: redirect.Aware}}},
		{"all ways are off", redirect.Config{NoWays: true}, func(*redirect.State) {}, nil},
		{"who changes the volume gets no mirror", redirect.Config{}, func(s *redirect.State) {
			s.Uses = s.Uses[3:]
			s.Uses[0].Writes = true
			s.Volumes["Source Code"] = redirect.Volume{Name: "Source Code", Domain: "here", Mirrors: []string{"Backups"}}
		}, nil},
		{"stale reports do not count", redirect.Config{}, func(s *redirect.State) {
			s.Uses = s.Uses[3:]
			for i := range 3 {
				s.Nodes[i].Age = 7 * time.Minute
			}
		}, nil},
		{"way without a path", redirect.Config{Ways: redirect.WayNoPath}, func(s *redirect.State) {},
			[]redirect.Move{{Client: "aware 3", Volume: "Source Code", Means: redirect.Aware}}},
		{"no way of the gateway's", redirect.Config{Ways: redirect.WayTable | redirect.WayPoll | redirect.WayOwn | redirect.WayFailOver},
			func(s *redirect.State) {}, nil},
		{"mirror", redirect.Config{}, func(s *redirect.State) {
			s.Uses = s.Uses[3:]
			s.Volumes["Source Code"] = redirect.Volume{Name: "Source Code", Domain: "here", Mirrors: []string{"none", "Backups"}}
		}, []redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN3", Mirror: "Backups", Means: redirect.Aware}}},
		{"mirrors are switched off", redirect.Config{Ways: redirect.WayPath | redirect.WayNoPath}, func(s *redirect.State) {
			s.Uses = s.Uses[3:]
			s.Volumes["Source Code"] = redirect.Volume{Name: "Source Code", Domain: "here", Mirrors: []string{"Backups"}}
		}, nil},
		{"average plus a margin", redirect.Config{Average: true, Margin: 25}, func(s *redirect.State) {
			s.Nodes[3].Threshold = 0
		}, []redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN3", Means: redirect.Aware}}},
		{"draining: all go, rested or not", redirect.Config{}, func(s *redirect.State) {
			s.Nodes[3].Draining, s.Nodes[3].Utilization = true, 10
			s.Uses = s.Uses[3:]
			s.Uses[0].Moved = noon
		}, []redirect.Move{{Client: "aware 3", Volume: "Source Code", To: "CFN3", Means: redirect.Aware}}},
	} {
		s := worked()
		test.change(&s)
		got := planner(t, "CFN4", test.cfg).Plan(s)
		for i := range got {
			got[i].Load, got[i].From = 0, ""
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []redirect.Config{{Ways: 1 << 7}, {Margin: -1}, {Hysteresis: 101}, {Budget: -1}, {Hold: -1}, {Spread: -1}, {Stay: -1}, {Stale: -1}} {
		if _, err := redirect.NewPlanner("n", bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// TestOrdered: an operator's redirect has a target whether or not the gateway is over its threshold, and settings count at once.
func TestOrdered(t *testing.T) {
	s := worked()
	s.Nodes[3].Utilization = 50
	p := planner(t, "CFN4", redirect.Config{})
	if moves := p.Plan(s); len(moves) != 0 {
		t.Fatalf("%+v", moves)
	}
	use := redirect.Use{Client: "aware 3", Volume: "Source Code", Means: redirect.Aware}
	if m := p.Target(s, use); m == nil || m.To != "CFN3" {
		t.Errorf("%+v", m)
	}
	for i := range 3 {
		s.Nodes[i].Utilization = 99 - float64(i)
	}
	if m := p.Target(s, use); m == nil || m.To != "CFN3" {
		t.Errorf("where nobody has room: %+v", m)
	}
	if use.Domain = "nowhere"; p.Target(s, use) != nil {
		t.Error("it is sent out of its domain")
	}
	s = worked()
	if err := p.Configure(redirect.Config{Ways: redirect.WayOwn}); err != nil || len(p.Plan(s)) != 0 {
		t.Errorf("a way that is off is used: %v", err)
	}
	if err := p.Configure(redirect.Config{Margin: -1}); err == nil {
		t.Error("a setting that makes no sense is taken")
	}
	if err := p.Configure(redirect.Config{}); err != nil || len(p.Plan(s)) != 1 {
		t.Errorf("nobody is sent: %v", err)
	}
}

// TestWays: ways are read by the names by which they are shown.
func TestWays(t *testing.T) {
	for w := range redirect.AllWays + 1 {
		names := strings.Split(w.String(), ",")
		if w == 0 {
			names = nil
		}
		if got, err := redirect.ParseWays(names); got != w || err != nil {
			t.Errorf("%v: %v, %v", w, got, err)
		}
	}
	if _, err := redirect.ParseWays([]string{"path", "magic"}); err == nil {
		t.Error("a way that there is not is taken")
	}
}
