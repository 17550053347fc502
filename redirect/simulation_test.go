package redirect_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"causeway/redirect"
)

var figure = flag.Bool("figure", false, "write docs/redirect.svg")

// What the simulation promises: after it has settled, nobody is moved more often, and no gateway is busier than the mean by more.
const (
	maxMovesPerHour = 1.0
	maxSpread       = 1.2
)

// site is many gateways with clients that demand what they demand.
type site struct {
	random  *rand.Rand
	now     time.Time
	gates   []*gate
	clients []*user
	moves   int
	history []sample
}

type gate struct {
	name     string
	capacity float64
	phase    int // second of the interval at which it reports and plans
	reported float64
	at       time.Time
	planner  *redirect.Planner
	clients  map[*user]bool
}

type user struct {
	name   string
	demand float64 // percent of a gateway of capacity 1
	at     *gate
	moved  time.Time
}

type sample struct {
	minute         float64
	mean, max, min float64
	moves          int
}

const (
	interval = 10
	noise    = 3 // standard deviation of a report, in points of percent
)

func newSite(t *testing.T, seed uint64, gates, users int, mean float64) *site {
	s := &site{random: rand.New(rand.NewPCG(seed, 7)), now: noon}
	capacity := 0.0
	for i := range gates {
		g := &gate{name: fmt.Sprint("g", i), capacity: []float64{0.5, 1, 1, 2}[i%4], phase: s.random.IntN(interval), clients: map[*user]bool{}}
		g.planner = planner(t, g.name, redirect.Config{Average: true, Hold: 3, Rand: rand.New(rand.NewPCG(seed, uint64(i)))})
		s.gates = append(s.gates, g)
		capacity += g.capacity
	}
	each := mean * capacity / float64(users)
	for range users {
		s.come(s.gates[s.random.IntN(gates)], each*(0.25+1.5*s.random.Float64()))
	}
	return s
}

func (s *site) come(g *gate, demand float64) {
	u := &user{name: fmt.Sprint("c", len(s.clients)), demand: demand, at: g}
	s.clients = append(s.clients, u)
	g.clients[u] = true
}

func (g *gate) demand() (sum float64) {
	for u := range g.clients {
		sum += u.demand
	}
	return sum / g.capacity
}

// second passes: gateways report, with noise, and plan.
func (s *site) second(n int) {
	s.now = s.now.Add(time.Second)
	for _, g := range s.gates {
		if n%interval == g.phase {
			g.reported = min(max(min(g.demand(), 100)+s.random.NormFloat64()*noise, 0), 100)
			g.at = s.now
			s.plan(g)
		}
	}
}

func (s *site) plan(g *gate) {
	state := redirect.State{Now: s.now, Nodes: make([]redirect.Node, 0, len(s.gates))}
	for _, o := range s.gates {
		if !o.at.IsZero() {
			state.Nodes = append(state.Nodes, redirect.Node{Name: o.name, Utilization: o.reported, Age: s.now.Sub(o.at), Interval: interval * time.Second, Capacity: o.capacity})
		}
	}
	all, by := g.demand()*g.capacity, map[string]*user{}
	for u := range g.clients {
		by[u.name] = u
		state.Uses = append(state.Uses, redirect.Use{Client: u.name, Volume: "v", Load: g.reported * u.demand / all, Moved: u.moved, Means: redirect.Aware})
	}
	for _, m := range g.planner.Plan(state) {
		u := by[m.Client]
		delete(g.clients, u)
		for _, o := range s.gates {
			if o.name == m.To {
				u.at, u.moved = o, s.now
				o.clients[u] = true
				s.moves++
			}
		}
	}
}

// run lets minutes pass.
func (s *site) run(minutes int) {
	for range minutes {
		before := s.moves
		for n := range 60 {
			s.second(n)
		}
		x := s.look()
		x.moves = s.moves - before
		s.history = append(s.history, x)
	}
}

func (s *site) look() sample {
	x := sample{minute: s.now.Sub(noon).Minutes(), min: math.Inf(1)}
	demand, capacity := 0.0, 0.0
	for _, g := range s.gates {
		d := g.demand()
		x.max, x.min = max(x.max, d), min(x.min, d)
		demand, capacity = demand+d*g.capacity, capacity+g.capacity
	}
	x.mean = demand / capacity
	return x
}

// TestSimulation: hundreds of gateways of unequal capacity and thousands of clients, with noisy reports. They settle, and settle again after
// a flash crowd came to one gateway and after clients changed their minds.
func TestSimulation(t *testing.T) {
	sizes := []struct{ gates, users int }{{50, 1500}, {20, 500}, {200, 6000}}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for seed, size := range sizes {
		s := newSite(t, uint64(seed), size.gates, size.users, 45)
		phase := func(name string) {
			s.run(20)
			before := s.moves
			spread := 0.0
			for range 3 {
				s.run(10)
				x := s.history[len(s.history)-1]
				spread = max(spread, x.max/x.mean)
			}
			perHour := float64(s.moves-before) / float64(len(s.clients)) * 2
			t.Logf("%d gateways, %d clients, %s: the busiest gateway has %.2f of the mean; %.3f redirects per client and hour after settling", size.gates, len(s.clients), name, spread, perHour)
			if spread > maxSpread || perHour > maxMovesPerHour {
				t.Errorf("%d gateways, %s: not stable", size.gates, name)
			}
		}
		phase("from random places")
		for range size.users / 10 {
			s.come(s.gates[1], 0.5+s.random.Float64())
		}
		phase("after a flash crowd")
		for _, u := range s.clients {
			if s.random.IntN(4) == 0 {
				u.demand *= 0.3 + 1.4*s.random.Float64()
			}
		}
		phase("after demands changed")
		if size.gates == 200 && *figure {
			if err := os.WriteFile("../docs/redirect.svg", []byte(s.svg()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// svg draws the busiest, the mean and the least busy gateway over time, and how many clients were moved in each minute.
func (s *site) svg() string {
	const width, height, left = 900, 260, 50
	x := func(minute float64) float64 { return left + minute/float64(len(s.history))*width }
	y := func(percent float64) float64 { return 20 + height - min(percent, 150)/150*height }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d 480" font-family="sans-serif" font-size="12">`+"\n", width+left+20)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for p := 0.0; p <= 150; p += 50 {
		fmt.Fprintf(&b, `<path d="M%d %.0fH%d" stroke="#ddd"/><text x="5" y="%.0f">%.0f %%</text>`+"\n", left, y(p), left+width, y(p)+4, p)
	}
	for _, line := range []struct {
		name, colour string
		of           func(sample) float64
	}{{"busiest gateway", "#c00", func(h sample) float64 { return h.max }}, {"mean", "#000", func(h sample) float64 { return h.mean }}, {"least busy gateway", "#06c", func(h sample) float64 { return h.min }}} {
		var points []string
		for _, h := range s.history {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(h.minute), y(line.of(h))))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"><title>%s</title></polyline>`+"\n", strings.Join(points, " "), line.colour, line.name)
	}
	most := 1
	for _, h := range s.history {
		most = max(most, h.moves)
	}
	for _, h := range s.history {
		tall := 120 * math.Sqrt(float64(h.moves)/float64(most))
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="4" height="%.1f" fill="#888"/>`+"\n", x(h.minute)-2, 440-tall, tall)
	}
	fmt.Fprintf(&b, `<text x="%d" y="310">redirects per minute (square root; the most is %d of %d clients)</text>`+"\n", left, most, len(s.clients))
	fmt.Fprintf(&b, `<text x="%d" y="14"><tspan fill="#c00">busiest</tspan>, mean and <tspan fill="#06c">least busy</tspan> of %d gateways; a flash crowd comes to one after 50 minutes, a quarter of the demands change after 100</text>`+"\n", left, len(s.gates))
	for m := 0.0; m <= float64(len(s.history)); m += 10 {
		fmt.Fprintf(&b, `<text x="%.0f" y="460" text-anchor="middle">%.0f min</text>`+"\n", x(m), m)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
