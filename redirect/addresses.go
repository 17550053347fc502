package redirect

import (
	"slices"
	"time"
)

// Address is a service address that a gateway answers at, with the clients there that can only be moved with it: those of NFSv3 cannot be told.
type Address struct {
	Address string
	Load    float64   // percent of the gateway's utilization that those clients cause
	Moved   time.Time // when it came to the gateway, as far as is known
	Site    string
	Takers  []string // nodes that may answer there
}

// AddressMove gives an address to another gateway.
type AddressMove struct {
	Address, To string
	Load        float64 // percent of this gateway
}

// How slowly addresses move. Each brings many clients at once, all of which wait for a moment, and a report shows what came of it an interval later.
const (
	addressHold = 3 // reports in a row that must be over the threshold, beside Config.Hold
	addressRest = 3 // longest intervals of all gateways after any address has moved, until another one does
)

// PlanAddress says which address this gateway gives away now; nil: none. It does when it has been over its threshold for long, though nobody who could
// be told was left to go. Of the cluster one address moves at a time: those gateways that are over their thresholds by more come first. A gateway keeps one
// address at least, an address that came stays for Stay, and the busier one of the two is less busy by Hysteresis than this one was.
func (p *Planner) PlanAddress(s State) *AddressMove {
	nodes := p.views(s)
	i := slices.IndexFunc(nodes, func(v *view) bool { return v.Name == p.self })
	if i < 0 || !p.cfg.Addresses || !p.lastingly(s.Now, nodes[i]) {
		return nil
	}
	self, longest, first := nodes[i], time.Duration(0), 0
	for _, v := range nodes {
		longest = max(longest, v.Interval)
		if v != self && !v.Draining && v.Held > 1 && p.fresh(v.Node) && v.limit > 0 && worse(v, self) {
			first++
		}
	}
	rest := addressRest * longest * time.Duration(1+first) // those who are worse had their time, and found nothing
	if len(s.Addresses) < 2 || p.recent(s.Now, 2*self.Interval) > 0 || s.Now.Sub(s.Shifted) < rest || first > 0 && s.Now.Sub(p.busySince) < rest {
		return nil
	}
	best, to, least := (*Address)(nil), (*view)(nil), self.expected-p.cfg.Hysteresis
	for i := range s.Addresses {
		a := &s.Addresses[i]
		if a.Load <= 0 || s.Now.Sub(a.Moved) < p.cfg.Stay {
			continue
		}
		if v, busier := p.taker(nodes, self, a); v != nil && busier <= least {
			best, to, least = a, v, busier
		}
	}
	if best == nil {
		return nil
	}
	p.moved = append(p.moved, moved{at: s.Now, to: to.Name, load: best.Load, atThat: best.Load * self.capacity() / to.capacity()})
	return &AddressMove{Address: best.Address, To: to.Name, Load: best.Load}
}

// lastingly reports whether a gateway has been over its threshold for so many reports that addresses may move.
func (p *Planner) lastingly(now time.Time, self *view) bool {
	if self.Draining || self.limit <= 0 || self.expected <= self.limit || !p.fresh(self.Node) {
		p.busySince = time.Time{}
		return false
	}
	if p.busySince.IsZero() || now.Before(p.busySince) {
		p.busySince = now
	}
	return now.Sub(p.busySince) >= time.Duration(addressHold+p.cfg.Hold-1)*self.Interval
}

// worse reports whether one gateway is over its threshold by more than another one. All gateways agree on that.
func worse(a, b *view) bool {
	over, under := a.expected-a.limit, b.expected-b.limit
	return over > under || over == under && a.Name < b.Name
}

// taker is the gateway that would be the least busy one with an address, of those at its site if one of them has room, and how busy the busier one of the
// two would be then; nil: none has room.
func (p *Planner) taker(nodes []*view, self *view, a *Address) (best *view, busier float64) {
	u, least, near := &Use{Load: a.Load}, 0.0, false
	for _, v := range nodes {
		if v == self || v.Draining || !p.fresh(v.Node) || !slices.Contains(a.Takers, v.Name) {
			continue
		}
		room, _ := p.room(v, self, u)
		same := a.Site != "" && v.at(a.Site)
		if room <= 0 || near && !same {
			continue
		}
		with := v.expected + a.Load*self.capacity()/v.capacity()
		if best == nil || same && !near || with < least {
			best, least, near = v, with, near || same
		}
	}
	return best, max(least, self.expected-a.Load)
}
