package redirect

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Config is the policy. Zero values are replaced by defaults.
type Config struct {
	Ways   Ways // default AllWays
	NoWays bool // none at all: nobody is sent anywhere

	// Average replaces the nodes' own thresholds by the mean utilization of all gateways plus Margin.
	Average bool
	Margin  float64 // points of percent; default 5

	Addresses bool // service addresses may move too, with all clients there that cannot be told: PlanAddress

	Hysteresis float64       // points of percent by which a target must stay below its own threshold; default 5
	Budget     int           // moves of one gateway in one interval; default 32
	Hold       int           // reports in a row that must be over the threshold before anybody goes; default 1
	Stay       time.Duration // how long a client is left where it is after it was moved; default 5 minutes
	Stale      int           // intervals after which a report does not count any more; default 3
	Spread     float64       // targets are chosen by chance, by what they have free to this power; 0: the least utilized one, but with Average 1
	Rand       *rand.Rand    // chooses between targets; default seeded by the system
}

// maxSpread is the highest Config.Spread.
const maxSpread = 32

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Ways&^AllWays != 0:
		return fmt.Errorf("redirect: Ways %#x", c.Ways)
	case c.Margin < 0 || c.Margin > 100 || c.Hysteresis < 0 || c.Hysteresis > 100:
		return errors.New("redirect: Margin and Hysteresis must be percent")
	case c.Budget < 0 || c.Hold < 0 || c.Stay < 0 || c.Stale < 0:
		return errors.New("redirect: Budget, Hold, Stay and Stale must not be negative")
	case !(c.Spread >= 0 && c.Spread <= maxSpread): // of more, the powers of what is free are infinite, and the last gateway gets all
		return fmt.Errorf("redirect: Spread %v is not from 0 to %d", c.Spread, maxSpread)
	}
	if c.NoWays {
		c.Ways = 0
	} else if c.Ways == 0 {
		c.Ways = AllWays
	}
	if c.Margin == 0 {
		c.Margin = 5
	}
	if c.Hysteresis == 0 {
		c.Hysteresis = 5
	}
	if c.Budget == 0 {
		c.Budget = 32
	}
	if c.Stay == 0 {
		c.Stay = 5 * time.Minute
	}
	if c.Stale == 0 {
		c.Stale = 3
	}
	if c.Hold == 0 {
		c.Hold = 1
	}
	if c.Spread == 0 && c.Average {
		c.Spread = 1
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return nil
}

// Planner decides for the clients of one gateway. It remembers what it has moved since the reports that it sees, so that it does not move
// twice what one report shows. It is not safe for concurrent use.
type Planner struct {
	cfg   Config
	self  string
	moved []moved
	lent  []lent
	overs int       // reports in a row that were over the threshold
	last  time.Time // of the last of them

	busySince time.Time // since when it is over its threshold, for PlanAddress; zero: it is not

	uneven time.Time // since when it has a client more than its share; zero: it has not
}

// moved is load that has gone from this gateway.
type moved struct {
	at     time.Time
	to     string  // "": not known
	load   float64 // percent of this gateway
	atThat float64 // percent of the other one
}

// NewPlanner returns the planner of a gateway.
func NewPlanner(self string, cfg Config) (*Planner, error) {
	err := cfg.Validate()
	return &Planner{cfg: cfg, self: self}, err
}

// Configure changes how the planner decides from now on. What it remembers of moves stays.
func (p *Planner) Configure(cfg Config) error {
	if cfg.Rand == nil {
		cfg.Rand = p.cfg.Rand
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	p.cfg = cfg
	return nil
}

// Target returns where a client would be sent now if it had to go, whether or not this gateway is over its threshold: to one with room, else to the
// least busy one that it may go to; nil: there is none.
func (p *Planner) Target(s State, u Use) *Move {
	nodes := p.views(s)
	i := slices.IndexFunc(nodes, func(v *view) bool { return v.Name == p.self })
	if i < 0 {
		return nil
	}
	self := *nodes[i].Node
	self.Draining = true // as for a gateway that all leave: what matters is that there is room
	nodes[i].Node = &self
	if m, _ := p.destine(s, nodes, nodes[i], &u); m != nil {
		return m
	}
	if to := p.leastBusy(nodes, nodes[i], &u, s.Volumes[u.Volume].Domain); to != nil {
		return &Move{Client: u.Client, Volume: u.Volume, From: p.self, To: to.Name, Load: u.Load, Means: u.Means}
	}
	return nil
}

// leastBusy is the gateway that is used the least of those that a client may go to, whether or not it has room; nil: there is none.
func (p *Planner) leastBusy(nodes []*view, self *view, u *Use, domain string) (least *view) {
	for _, v := range nodes {
		if v == self || !v.open() || !v.shares(domain) || !v.shares(u.Domain) {
			continue
		}
		if least == nil || v.expected < least.expected {
			least = v
		}
	}
	return least
}

// State is what a decision is made from.
type State struct {
	Now     time.Time
	Nodes   []Node // all that run
	Volumes map[string]Volume
	Uses    []Use // of this gateway's clients

	Addresses []Address // that this gateway answers at; empty: none may move
	Shifted   time.Time // when any service address of the cluster came to another gateway last
}

// view is a node as it is expected to be when what was decided has come about.
type view struct {
	*Node
	Clients  int // as reported, and those who were sent there since
	expected float64
	limit    float64 // above it, clients go; 0: never
}

// Plan says which of the gateway's clients go now, the first ones first. The gateway moves no more than brings it to its threshold, nobody
// to a gateway that would come nearer to its own than Hysteresis, and nobody who was moved within Stay, unless it drains.
func (p *Planner) Plan(s State) []Move {
	if p.cfg.Ways&(WayPath|WayNoPath|WayMirror) == 0 {
		return nil
	}
	nodes := p.views(s)
	i := slices.IndexFunc(nodes, func(v *view) bool { return v.Name == p.self })
	if i < 0 {
		return nil
	}
	self, budget := nodes[i], p.cfg.Budget-p.recent(s.Now, nodes[i].Interval)
	over := func() bool { return self.Draining || self.limit > 0 && self.expected > self.limit }
	if !over() || !p.held(s.Now, self) {
		return nil
	}
	var out []Move
	for _, u := range p.order(s, self) {
		if len(out) >= budget || !over() {
			break
		}
		m, target := p.destine(s, nodes, self, &u)
		if m == nil {
			continue
		}
		left := moved{at: s.Now, to: m.To, load: u.Load}
		if target != nil {
			left.atThat = u.Load * self.capacity() / target.capacity()
			target.expected += left.atThat
		}
		self.expected -= u.Load
		p.moved = append(p.moved, left)
		out = append(out, *m)
	}
	if len(out) == 0 && !self.Draining {
		out = p.even(s, nodes, self, budget)
	}
	return out
}

// held reports whether the gateway is over its threshold for long enough, which it is now.
func (p *Planner) held(now time.Time, self *view) bool {
	reported := now.Add(-self.Age)
	if between := reported.Sub(p.last); p.last.IsZero() || between > self.Interval*2 {
		p.overs, p.last = 1, reported
	} else if between >= self.Interval/2 {
		p.overs, p.last = p.overs+1, reported
	}
	return self.Draining || p.overs >= p.cfg.Hold
}

// recent is how many moves were made within an interval.
func (p *Planner) recent(now time.Time, interval time.Duration) (n int) {
	for _, m := range p.moved {
		if now.Sub(m.at) < interval {
			n++
		}
	}
	return n
}

// views corrects the reports by what was moved after them, and sets the limits.
func (p *Planner) views(s State) []*view {
	var out []*view
	sum, weight := 0.0, 0.0
	closed := !slices.ContainsFunc(s.Nodes, func(n Node) bool { return !n.Closed }) // then all count, else those that clients find
	for i := range s.Nodes {
		n := &s.Nodes[i]
		v := &view{Node: n, Clients: n.Clients, expected: n.Utilization, limit: n.Threshold}
		reported := s.Now.Add(-n.Age)
		for _, m := range p.moved {
			if m.at.Before(reported) {
				continue
			}
			if m.to == n.Name {
				v.expected += m.atThat
			}
			if n.Name == p.self {
				v.expected -= m.load
			}
		}
		if p.fresh(n) && n.Closed == closed {
			sum += v.expected * n.capacity()
			weight += n.capacity()
		}
		out = append(out, v)
	}
	if p.cfg.Average && weight > 0 {
		for _, v := range out {
			v.limit = min(sum/weight+p.cfg.Margin, 100)
		}
	}
	p.forget(s)
	return out
}

// forget drops what all reports show by now.
func (p *Planner) forget(s State) {
	oldest := time.Duration(0)
	for _, n := range s.Nodes {
		oldest = max(oldest, n.Age, n.Interval)
	}
	p.moved = slices.DeleteFunc(p.moved, func(m moved) bool { return s.Now.Sub(m.at) > oldest })
}

// fresh reports whether a node's figure still counts.
func (p *Planner) fresh(n *Node) bool {
	return n.Interval <= 0 || n.Age <= time.Duration(p.cfg.Stale)*n.Interval
}

// order puts those first whom it costs least to move: by means, then those that bring the most relief without overshooting.
func (p *Planner) order(s State, self *view) []Use {
	excess := self.expected - self.limit
	var out []Use
	for _, u := range s.Uses {
		rested := u.Moved.IsZero() || s.Now.Sub(u.Moved) >= p.cfg.Stay
		if u.Means != 0 && (self.Draining || rested && u.Load > 0) {
			out = append(out, u)
		}
	}
	// Of clients that are too many to be moved at once, the smallest that suffices alone; else the largest.
	rank := func(u *Use) float64 {
		if u.Load >= excess {
			return u.Load - excess
		}
		return 1000 - u.Load
	}
	slices.SortStableFunc(out, func(a, b Use) int {
		return cmp.Or(cmp.Compare(a.Means, b.Means), cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Volume, b.Volume))
	})
	return out
}

// destine finds where a client can go; nil: nowhere. The target is nil if the client chooses.
func (p *Planner) destine(s State, nodes []*view, self *view, u *Use) (*Move, *view) {
	m := &Move{Client: u.Client, Volume: u.Volume, From: p.self, Load: u.Load, Means: u.Means}
	v := s.Volumes[u.Volume]
	target := p.choose(nodes, self, u, v.Domain)
	switch {
	case target != nil && p.cfg.Ways&WayPath != 0:
		m.To = target.Name
		return m, target
	case target != nil && p.cfg.Ways&WayNoPath != 0 && u.Means == Aware:
		return m, nil
	case target != nil || p.cfg.Ways&WayMirror == 0 || u.Means != Aware || u.Writes:
		return nil, nil
	}
	for _, name := range v.Mirrors {
		mirror, ok := s.Volumes[name]
		if !ok {
			continue
		}
		if target := p.choose(nodes, self, u, mirror.Domain); target != nil {
			m.To, m.Mirror = target.Name, name
			return m, target
		}
	}
	return nil, nil
}

// choose takes a gateway at random, the more likely the more room it has: many gateways decide at once from the same records, and must not
// all take the least utilized one. Gateways of the client's site come first.
func (p *Planner) choose(nodes []*view, self *view, u *Use, domain string) *view {
	var best []*view
	var pulls []float64
	total, near := 0.0, false
	for _, v := range nodes {
		if v == self || !v.open() || !p.fresh(v.Node) || !v.shares(domain) || !v.shares(u.Domain) {
			continue
		}
		room, free := p.room(v, self, u)
		if room <= 0 {
			continue
		}
		same := u.Site != "" && v.at(u.Site)
		if near && !same {
			continue
		}
		if same && !near {
			near, best, pulls, total = true, nil, nil, 0
		}
		if p.cfg.Spread > 0 {
			free = math.Pow(free*v.capacity(), p.cfg.Spread)
		}
		best, pulls = append(best, v), append(pulls, free)
		total += free
	}
	switch {
	case len(best) == 0:
		return nil
	case p.cfg.Spread == 0:
		return best[slices.Index(pulls, slices.Max(pulls))]
	}
	at := p.cfg.Rand.Float64() * total
	for i := range best {
		if at -= pulls[i]; at < 0 {
			return best[i]
		}
	}
	return best[len(best)-1]
}

// room is how much more a gateway may get when this client has come, and free what it has free then, both in percent of it. It stays
// below where this gateway will be, or the client would be sent back.
func (p *Planner) room(v, self *view, u *Use) (room, free float64) {
	limit := v.limit
	if limit <= 0 {
		limit = 100
	}
	after := v.expected + u.Load*self.capacity()/v.capacity()
	free = 100 - after
	room = limit - p.cfg.Hysteresis - after
	if p.cfg.Average {
		room = limit - p.cfg.Margin - after // no higher than the mean
		free = room
	}
	if !self.Draining {
		room = min(room, self.expected-after)
	}
	return room, free
}
