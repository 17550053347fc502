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
	if !p.lasts(s.Now, self, p.excess(s.Uses, nodes, self)) {
		return nil
	}
	for _, u := range p.order(s, self) {
		if len(out) >= budget {
			break
		}
		if u.Means != Aware {
			continue
		}
		among, share := p.sharers(nodes, self, &u)
		if float64(self.Clients) < share(self)+1 {
			continue
		}
		to := p.emptiest(among, self, &u, s.Volumes[u.Volume].Domain, share)
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

// sharers are the gateways that share a client's like, and how many each of them should have. A client that is at a gateway of its site shares that
// with the site's gateways only: to have as many as others is no reason to go far.
func (p *Planner) sharers(nodes []*view, self *view, u *Use) (among []*view, share func(*view) float64) {
	total, capacity := 0.0, 0.0
	near := u.Site != "" && self.at(u.Site)
	for _, v := range nodes {
		if near && !v.at(u.Site) || !v.open() || !p.fresh(v.Node) {
			continue
		}
		among = append(among, v)
		total += float64(v.Clients)
		capacity += v.capacity()
	}
	return among, func(v *view) float64 { return total * v.capacity() / capacity }
}

// excess is how many clients a gateway has above its share: the most of those that it has for the sites of its clients.
func (p *Planner) excess(uses []Use, nodes []*view, self *view) float64 {
	most, seen := 0.0, map[string]bool{}
	for i := range uses {
		if u := &uses[i]; !seen[u.Site] {
			seen[u.Site] = true
			_, share := p.sharers(nodes, self, u)
			most = max(most, float64(self.Clients)-share(self))
		}
	}
	return most
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
	most, near := -math.MaxFloat64, false // those of the client's site come first
	for _, v := range nodes {
		if v == self || !v.open() || !p.fresh(v.Node) || !v.shares(domain) || !v.shares(u.Domain) {
			continue
		}
		lacks := (share(v) - float64(v.Clients)) / v.capacity()
		gains := float64(self.Clients)/self.capacity() > float64(v.Clients+1)/v.capacity() // else the other one would send somebody back
		same := u.Site != "" && v.at(u.Site)
		if !gains || lacks <= 0 || near && !same {
			continue
		}
		if same && !near || lacks > most {
			best, most, near = v, lacks, near || same
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
