package redirect

import (
	"math"
	"time"
)

// lent is a client that was sent to a gateway whose report may not count it yet.
type lent struct {
	at time.Time
	to string
}

// even spreads clients by their number. Where every gateway is as busy as it can be, utilization says nothing any more: clients that wait for
// their answers ask no faster than they are answered, whether ten or two of them share a gateway. So a gateway that is over its threshold, and
// finds none with room, sends away whom it has above its share, to those that have fewer than theirs.
func (p *Planner) even(s State, nodes []*view, self *view, budget int) (out []Move) {
	if self.Clients == 0 || p.cfg.Ways&(WayPath|WayNoPath) == 0 {
		return nil
	}
	p.lentNow(s.Now, nodes)
	total, capacity := 0.0, 0.0
	for _, v := range nodes {
		if !v.Draining && p.fresh(v.Node) {
			total += float64(v.Clients)
			capacity += v.capacity()
		}
	}
	share := func(v *view) float64 { return total * v.capacity() / capacity }
	if !p.lasts(s.Now, self, float64(self.Clients)-share(self)) {
		return nil
	}
	for _, u := range p.order(s, self) {
		if len(out) >= budget || float64(self.Clients) < share(self)+1 {
			break
		}
		if u.Means != Aware {
			continue
		}
		to := p.emptiest(nodes, self, &u, s.Volumes[u.Volume].Domain, share)
		if to == nil {
			continue
		}
		m := Move{Client: u.Client, Volume: u.Volume, From: p.self, Load: u.Load, Means: u.Means}
		if p.cfg.Ways&WayPath != 0 {
			m.To = to.Name
		}
		to.Clients++
		self.Clients--
		p.lent = append(p.lent, lent{s.Now, to.Name})
		out = append(out, m)
	}
	return out
}

// briefly is for how many reports a gateway may have a client more than its share before that one goes: those of another gateway that only
// pause for a moment are not counted there meanwhile.
const briefly = 3

// lasts reports whether what a gateway has above its share is more than chance. More than one client is.
func (p *Planner) lasts(now time.Time, self *view, excess float64) bool {
	switch {
	case excess < 1:
		p.uneven = time.Time{}
	case p.uneven.IsZero() || now.Before(p.uneven):
		p.uneven = now
	}
	return excess >= 2 || excess >= 1 && now.Sub(p.uneven) >= briefly*self.Interval
}

// emptiest is the gateway that lacks the most of its share, after the client has come at most one of it; nil: none lacks one.
func (p *Planner) emptiest(nodes []*view, self *view, u *Use, domain string, share func(*view) float64) (best *view) {
	most := -math.MaxFloat64
	for _, v := range nodes {
		if v == self || v.Draining || !p.fresh(v.Node) || !v.shares(domain) || !v.shares(u.Domain) {
			continue
		}
		lacks := (share(v) - float64(v.Clients)) / v.capacity()
		gains := float64(self.Clients)/self.capacity() > float64(v.Clients+1)/v.capacity() // else the other one would send somebody back
		if gains && lacks > 0 && lacks > most {
			best, most = v, lacks
		}
	}
	return best
}

// lentNow adds to the reported numbers those who were sent since: a report counts a client one interval after it came.
func (p *Planner) lentNow(now time.Time, nodes []*view) {
	kept := p.lent[:0]
	for _, l := range p.lent {
		for _, v := range nodes {
			if v.Name == l.to && l.at.After(now.Add(-v.Age-2*v.Interval)) && now.Sub(l.at) < time.Minute {
				v.Clients++
				kept = append(kept, l)
			}
		}
	}
	p.lent = kept
}
