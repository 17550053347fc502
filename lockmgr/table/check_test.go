package table

import (
	"fmt"
	"slices"

	"causeway"
)

// checkParties: what they are counted to have is what their clients have.
func (t *Table) checkParties() error {
	sums := map[*party]party{}
	for _, c := range t.clients {
		sum := sums[c.party]
		sum.clients, sum.held, sum.waiting, sum.opens, sum.id = sum.clients+1, sum.held+c.held, sum.waiting+c.waiting, sum.opens+c.opens, c.party.id
		sums[c.party] = sum
	}
	for p, sum := range sums {
		if *p != sum || t.parties[p.id] != p {
			return fmt.Errorf("party %v has %v of its clients", *p, sum)
		}
	}
	if len(sums) != len(t.parties) {
		return fmt.Errorf("%d parties, and clients of %d", len(t.parties), len(sums))
	}
	return nil
}

// check verifies what must hold between any two calls.
func (t *Table) check() error {
	if err := t.checkParties(); err != nil {
		return err
	}
	held, waiting := 0, 0
	for h, obj := range t.objects {
		n, err := obj.check()
		if err != nil {
			return fmt.Errorf("%v: %w", h, err)
		}
		if n == 0 && len(obj.queue) == 0 && len(obj.opens) == 0 && len(obj.leases) == 0 && obj.doom == nil && len(obj.claims) == 0 {
			return fmt.Errorf("%v: kept but not in use", h)
		}
		held += n
		waiting += len(obj.queue)
		for _, w := range obj.queue {
			if w.object != obj || t.owners[w.owner.id] != w.owner {
				return fmt.Errorf("%v: waiter of somebody else", h)
			}
			if obj.conflict(w.owner, w.extent) == nil && t.fits(w.owner.client, 2) {
				return fmt.Errorf("%v: %v waits for nothing", h, w.extent)
			}
		}
	}
	if err := t.checkOpens(); err != nil {
		return err
	}
	if held != t.held || waiting != t.waiting {
		return fmt.Errorf("held %d, counted %d; waiting %d, counted %d", held, t.held, waiting, t.waiting)
	}
	return t.checkOwners()
}

func (t *Table) checkOwners() error {
	held := 0
	for id, own := range t.owners {
		if len(own.holds) == 0 && len(own.waiters) == 0 {
			return fmt.Errorf("%v: kept but not in use", id)
		}
		for obj, list := range own.holds {
			if t.objects[obj.handle] != obj || len(list) == 0 {
				return fmt.Errorf("%v: holds of a forgotten object", id)
			}
			held += len(list)
			for i, s := range list {
				if s.owner != own || s.object != obj || s.empty() && !own.stacks() {
					return fmt.Errorf("%v: bad segment %v", id, s.extent)
				}
				if i > 0 && !own.stacks() && (list[i-1].end > s.start || list[i-1].end == s.start && list[i-1].exclusive == s.exclusive) {
					return fmt.Errorf("%v: %v and %v overlap or should be one", id, list[i-1].extent, s.extent)
				}
			}
		}
	}
	clientHeld, clientWaiting := 0, 0
	for id, c := range t.clients {
		if len(c.owners) == 0 && c.opens == 0 {
			return fmt.Errorf("%v: kept but not in use", id)
		}
		clientHeld += c.held
		clientWaiting += c.waiting
	}
	if held != t.held || clientHeld != t.held || clientWaiting != t.waiting {
		return fmt.Errorf("counts differ: %d %d %d, %d %d", held, clientHeld, t.held, clientWaiting, t.waiting)
	}
	return nil
}

func (o *object) check() (int, error) {
	all := make(map[*segment]bool)
	for _, root := range []*segment{o.shared, o.exclusive} {
		if err := root.checkTree(all, root == o.exclusive && root != nil); err != nil {
			return 0, err
		}
	}
	if len(all) != o.held {
		return 0, fmt.Errorf("%d segments, counted %d", len(all), o.held)
	}
	for s := range all {
		if by := o.conflict(s.owner, s.extent); by != nil && by.owner != s.owner {
			return 0, fmt.Errorf("%v and %v are both held", s.lock(), by.lock())
		}
	}
	return len(all), nil
}

func (s *segment) checkTree(all map[*segment]bool, excl bool) error {
	if s == nil {
		return nil
	}
	all[s] = true
	if s.exclusive != excl {
		return fmt.Errorf("%v in the wrong tree", s.extent)
	}
	end := s.end
	for _, child := range []*segment{s.left, s.right} {
		if child == nil {
			continue
		}
		if child.weight() > s.weight() || child.before(s) != (child == s.left) {
			return fmt.Errorf("%v and %v are out of order", s.extent, child.extent)
		}
		if err := child.checkTree(all, excl); err != nil {
			return err
		}
		end = max(end, child.maxEnd)
	}
	if end != s.maxEnd {
		return fmt.Errorf("%v: largest end %d, kept %d", s.extent, end, s.maxEnd)
	}
	return nil
}

// checkOpens: share modes hold, nobody caches what another could change, and all indexes agree.
func (t *Table) checkOpens() error {
	opens, leases, clients := 0, 0, make(map[*client]int)
	for h, obj := range t.objects {
		opens, leases = opens+len(obj.opens), leases+len(obj.leases)
		for i, o := range obj.opens {
			if t.opens[o.Open] != o || o.object != obj {
				return fmt.Errorf("%v: open of somebody else", h)
			}
			clients[o.client]++
			for _, p := range obj.opens[:i] {
				if conflict(o.Access, o.Share, p.Access, p.Share) {
					return fmt.Errorf("%v: %v and %v are both open", h, name16(o.Open), name16(p.Open))
				}
			}
		}
		for i, l := range obj.leases {
			if t.leases[leaseName{l.id, h}] != l || len(l.opens) == 0 && l.id.Kind != causeway.Delegation {
				return fmt.Errorf("%v: lease %v is not known, or nobody's", h, l.id)
			}
			if _, ok := t.breaking[l]; ok != l.breaking {
				return fmt.Errorf("%v: lease %v breaks and does not", h, l.id)
			}
			for _, m := range obj.leases[:i] {
				if l.caching&causeway.CacheWrite != 0 && m.caching != 0 || m.caching&causeway.CacheWrite != 0 && l.caching != 0 {
					return fmt.Errorf("%v: %v and %v both cache, one of them writes", h, l.id, m.id)
				}
			}
		}
		on := obj.smb > 0 || slices.ContainsFunc(obj.leases, func(l *lease) bool { return l.caching != 0 })
		if on != obj.guards {
			return fmt.Errorf("%v: guarded is %v", h, obj.guards)
		}
	}
	if opens != len(t.opens) || leases != len(t.leases) {
		return fmt.Errorf("%d opens, %d known; %d leases, %d known", opens, len(t.opens), leases, len(t.leases))
	}
	for c, n := range clients {
		if c.opens != n || t.clients[c.id] != c {
			return fmt.Errorf("%v: %d opens, counted %d", c.id, n, c.opens)
		}
	}
	return nil
}
