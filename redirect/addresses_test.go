package redirect_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"causeway/redirect"
)

// busyFor is so long that addresses move.
const busyFor = 4 * interval * time.Second

// twoAddresses is a gateway g1 that is over its threshold with two addresses, and two others that are not.
func twoAddresses() redirect.State {
	takers := []string{"g1", "g2", "g3"}
	node := func(name string, utilization float64) redirect.Node {
		return redirect.Node{Name: name, Utilization: utilization, Interval: interval * time.Second, Threshold: 70, Held: 2}
	}
	return redirect.State{Now: noon, Nodes: []redirect.Node{node("g1", 90), node("g2", 30), node("g3", 20)}, Addresses: []redirect.Address{
		{Address: "a", Load: 30, Takers: takers}, {Address: "b", Load: 60, Takers: takers},
	}}
}

// planned is what is decided when the state has lasted for some time.
func planned(t *testing.T, cfg redirect.Config, s redirect.State, lasts time.Duration) *redirect.AddressMove {
	t.Helper()
	p := planner(t, "g1", cfg)
	p.PlanAddress(s)
	s.Now = s.Now.Add(lasts)
	return p.PlanAddress(s)
}

// TestAddresses: which address moves, where to, and when none does.
func TestAddresses(t *testing.T) {
	on := redirect.Config{Addresses: true}
	for _, test := range []struct {
		name   string
		cfg    redirect.Config
		change func(*redirect.State)
		want   string
	}{
		{"the one that evens the most, to the least busy gateway", on, func(*redirect.State) {}, "a g3"},
		{"it is switched off", redirect.Config{}, func(*redirect.State) {}, ""},
		{"not over the threshold", on, func(s *redirect.State) { s.Nodes[0].Utilization = 69 }, ""},
		{"no threshold", on, func(s *redirect.State) { s.Nodes[0].Threshold = 0 }, ""},
		{"the last address stays", on, func(s *redirect.State) { s.Addresses = s.Addresses[:1] }, ""},
		{"no load that could go", on, func(s *redirect.State) { s.Addresses[0].Load, s.Addresses[1].Load = 0, 0 }, ""},
		{"who may not answer there does not", on, func(s *redirect.State) { s.Addresses[0].Takers = []string{"g1", "g2"} }, "a g2"},
		{"the others drain", on, func(s *redirect.State) { s.Nodes[1].Draining, s.Nodes[2].Draining = true, true }, ""},
		{"to one that has no address yet", on, func(s *redirect.State) { s.Nodes[2].Closed, s.Nodes[2].Held = true, 0 }, "a g3"},
		{"of the average, with gateways that have no aware clients", redirect.Config{Addresses: true, Average: true}, func(s *redirect.State) {
			for i := range s.Nodes {
				s.Nodes[i].Closed, s.Nodes[i].Threshold = true, 0
			}
			s.Addresses[0].Load = 20
		}, "a g3"},
		{"their reports are old", on, func(s *redirect.State) { s.Nodes[1].Age, s.Nodes[2].Age = time.Hour, time.Hour }, ""},
		{"both have just come", on, func(s *redirect.State) { s.Addresses[0].Moved, s.Addresses[1].Moved = noon, noon }, ""},
		{"one has just come", on, func(s *redirect.State) {
			s.Addresses[0].Moved = noon
			s.Addresses[1].Load = 35
		}, "b g3"},
		{"another address has just moved", on, func(s *redirect.State) { s.Shifted = noon.Add(busyFor - interval*time.Second) }, ""},
		{"it would not help", on, func(s *redirect.State) { s.Nodes[1].Utilization, s.Nodes[2].Utilization = 64, 64 }, ""},
		{"the other one would be over its threshold", on, func(s *redirect.State) { s.Addresses[0].Load, s.Addresses[1].Load = 46, 44 }, "b g3"},
		{"another gateway is worse", on, func(s *redirect.State) { s.Nodes[1].Utilization = 95 }, ""},
		{"another gateway is worse, but cannot help itself", on, func(s *redirect.State) { s.Nodes[1].Utilization, s.Nodes[1].Held = 95, 1 }, "a g3"},
		{"at the site before elsewhere", on, func(s *redirect.State) { s.Addresses[0].Site, s.Nodes[1].Site = "x", "x" }, "a g2"},
		{"a larger gateway has more room", on, func(s *redirect.State) { s.Nodes[1].Capacity = 4 }, "b g2"},
		{"it drains", on, func(s *redirect.State) { s.Nodes[0].Draining = true }, ""},
	} {
		s := twoAddresses()
		test.change(&s)
		got := ""
		if m := planned(t, test.cfg, s, busyFor); m != nil {
			got = m.Address + " " + m.To
		}
		if got != test.want {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
	if m := planned(t, on, twoAddresses(), 2*interval*time.Second); m != nil {
		t.Errorf("it moves after two reports: %+v", m)
	}
	s := twoAddresses()
	s.Nodes[1].Utilization = 95
	if m := planned(t, on, s, 2*busyFor); m == nil {
		t.Error("it waits for a worse one that finds nothing")
	}
}

// TestAddressesAfterClients: while those go who can be told, addresses stay; and after one has moved, what it brought counts until the reports show it.
func TestAddressesAfterClients(t *testing.T) {
	s := twoAddresses()
	p := planner(t, "g1", redirect.Config{Addresses: true})
	p.PlanAddress(s)
	s.Now = s.Now.Add(busyFor)
	s.Uses = []redirect.Use{{Client: "c", Volume: "v", Load: 5, Means: redirect.Aware}}
	if moves := p.Plan(s); len(moves) != 1 {
		t.Fatal(moves)
	}
	if m := p.PlanAddress(s); m != nil {
		t.Errorf("%+v moves beside a client", m)
	}
	p = planner(t, "g1", redirect.Config{Addresses: true})
	s = twoAddresses()
	p.PlanAddress(s)
	s.Now = s.Now.Add(busyFor)
	if m := p.PlanAddress(s); m == nil {
		t.Fatal("none moves")
	}
	s.Addresses = append(s.Addresses[1:], redirect.Address{Address: "c", Load: 25, Takers: []string{"g2"}})
	for i := range s.Nodes {
		s.Nodes[i].Age = time.Minute // as before the move
	}
	if m := p.PlanAddress(s); m != nil {
		t.Errorf("%+v moves for what has gone already", m)
	}
}

// lump is an address with the clients that only follow it.
type lump struct {
	name   string
	demand float64
	at     *holder
	moved  time.Time
}

type holder struct {
	name     string
	capacity float64
	phase    int
	reported float64
	at       time.Time
	planner  *redirect.Planner
	lumps    map[*lump]bool
}

func (h *holder) demand() (sum float64) {
	for l := range h.lumps {
		sum += l.demand
	}
	return sum / h.capacity
}

// TestAddressSimulation: gateways of unequal capacity with addresses that have unequal loads, with noisy reports. The busiest becomes less busy, addresses come to rest,
// and again after demands changed.
func TestAddressSimulation(t *testing.T) {
	sizes := []int{8, 16, 32, 48}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for seed, size := range sizes {
		seed := uint64(seed)
		random := rand.New(rand.NewPCG(seed, 3))
		cfg := redirect.Config{Addresses: true, Hold: 1 + int(seed%3), Average: seed%2 == 0}
		var holders []*holder
		var names []string
		var lumps []*lump
		for i := range size {
			h := &holder{name: fmt.Sprintf("g%02d", i), capacity: []float64{0.5, 1, 1, 2}[i%4], phase: random.IntN(interval), lumps: map[*lump]bool{}}
			h.planner = planner(t, h.name, cfg)
			holders, names = append(holders, h), append(names, h.name)
			for j := range 4 {
				l := &lump{name: fmt.Sprint(h.name, "/", j), demand: 5 + 20*random.Float64(), at: h} // of a small gateway up to 50% each
				h.lumps[l] = true
				lumps = append(lumps, l)
			}
		}
		now, shifted, moves := noon, time.Time{}, 0
		second := func(n int) {
			now = now.Add(time.Second)
			for _, h := range holders {
				if n%interval != h.phase {
					continue
				}
				h.reported = min(max(min(h.demand(), 100)+random.NormFloat64()*noise, 0), 100)
				h.at = now
				s := redirect.State{Now: now, Shifted: shifted}
				for _, o := range holders {
					if !o.at.IsZero() {
						s.Nodes = append(s.Nodes, redirect.Node{Name: o.name, Utilization: o.reported, Age: now.Sub(o.at), Interval: interval * time.Second, Threshold: 60,
							Capacity: o.capacity, Held: len(o.lumps)})
					}
				}
				all := h.demand() * h.capacity
				for l := range h.lumps {
					s.Addresses = append(s.Addresses, redirect.Address{Address: l.name, Load: h.reported * l.demand / all, Moved: l.moved, Takers: names})
				}
				slices.SortFunc(s.Addresses, func(a, b redirect.Address) int { return int(b.Load*1000) - int(a.Load*1000) })
				if m := h.planner.PlanAddress(s); m != nil {
					l := lumps[slices.IndexFunc(lumps, func(l *lump) bool { return l.name == m.Address })]
					to := holders[slices.Index(names, m.To)]
					delete(h.lumps, l)
					to.lumps[l], l.at, l.moved = true, to, now
					shifted = now
					moves++
					if len(h.lumps) == 0 {
						t.Fatalf("%s has no address left", h.name)
					}
				}
			}
		}
		busiest := func() (most float64) {
			for _, h := range holders {
				most = max(most, h.demand())
			}
			return most
		}
		phase := func(name string, settle int) {
			begun := busiest()
			for n := range settle * 60 {
				second(n)
			}
			settled, before := busiest(), moves
			for n := range 60 * 60 {
				second(n)
			}
			t.Logf("%d gateways, %s: the busiest has a demand of %.0f%%, then %.0f%%; %d moves, and %d in the hour after", len(holders), name, begun, settled, before, moves-before)
			if settled > begun || begun > 110 && settled > 0.9*begun {
				t.Errorf("%s does not help: %.0f%%, then %.0f%%", name, begun, settled)
			}
			if perHour := float64(moves-before) / float64(len(lumps)); perHour > 0.1 {
				t.Errorf("%s: %.2f moves of an address in an hour", name, perHour)
			}
		}
		phase("from the beginning", 60)
		for _, l := range lumps {
			if random.IntN(4) == 0 {
				l.demand *= 0.3 + 1.6*random.Float64()
			}
		}
		phase("after demands changed", 60)
	}
}
