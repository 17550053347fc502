package discovery

import (
	"cmp"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"
)

// Relief of what makes a gateway hot, in percent of utilization. Becoming hot takes more than staying hot, so that two gateways do not
// take turns.
const (
	hotAbove   = 25 // the average, if it is above hotFloor too
	coolAbove  = 15
	hotFloor   = 40
	coolMargin = 10 // below the threshold
)

// heat says which gateways are too busy for new clients: above their threshold, or far above the average. before says which ones were.
func heat(gateways []Gateway, before map[string]bool) map[string]bool {
	sum, known := 0, 0
	for _, g := range gateways {
		if g.State == Active && g.Utilization >= 0 {
			sum, known = sum+g.Utilization, known+1
		}
	}
	hot := map[string]bool{}
	for _, g := range gateways {
		if g.State == Down || g.Utilization < 0 {
			continue
		}
		limit, above, floor := int(cmp.Or(g.Threshold, defaultThreshold)), hotAbove, hotFloor
		if before[g.Name] {
			limit, above, floor = limit-coolMargin, coolAbove, hotFloor-coolMargin
		}
		apart := known > 1 && g.Utilization >= floor && g.Utilization*known >= sum+above*known
		if g.Utilization > limit || apart {
			hot[g.Name] = true
		}
	}
	return hot
}

// What puts a gateway behind others, the most important last. Only the gateways with the lowest sum get clients.
const (
	behindHot    = 1 << iota // too busy
	behindProxy              // it does not reach the storage, and passes requests on
	behindSite               // it is not at the client's site
	behindDrains             // it shall get no new clients: only where nobody else is left
)

// candidate is a gateway that may be answered.
type candidate struct {
	*gateway
	behind uint8
	room   uint64 // what is left of its capacity, at least 1
}

// group is who may be answered to clients of a site that ask for volumes of one kind.
type group struct {
	all  []candidate // the first ones are preferred
	best int         // how many get clients
}

// kind is all of a volume that the choice depends on; zero: what all gateways have.
type kind struct {
	domain string
	strict bool
	site   string
}

// choose ranks the gateways.
func (z *Zone) choose(k kind) *group {
	out := &group{}
	var site *Site
	for i := range z.view.Sites {
		if z.view.Sites[i].Name == k.site {
			site = &z.view.Sites[i]
		}
	}
	for _, g := range z.gateways {
		if g.State == Down || len(g.Addresses) == 0 || k.strict && !g.in(k.domain) {
			continue
		}
		c := candidate{gateway: g, room: g.room}
		if z.hot[g.Name] {
			c.behind |= behindHot
		}
		if k.domain != "" && !g.in(k.domain) {
			c.behind |= behindProxy
		}
		if site != nil && !g.at(site) {
			c.behind |= behindSite
		}
		if g.State == Draining {
			c.behind |= behindDrains
		}
		out.all = append(out.all, c)
	}
	slices.SortStableFunc(out.all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.behind, b.behind), cmp.Compare(b.room, a.room), cmp.Compare(a.Name, b.Name))
	})
	out.all = slices.DeleteFunc(out.all, func(c candidate) bool { // it vanishes from all answers that do without it
		return c.behind&behindDrains != 0 && out.all[0].behind&behindDrains == 0
	})
	for out.best < len(out.all) && out.all[out.best].behind == out.all[0].behind {
		out.best++
	}
	return out
}

// pick chooses the gateway for a client: for one that is known always the same, as long as that one is among the best, in proportion to
// capacity over all clients (rendezvous hashing, so that a gateway that comes or goes moves only its own clients); for others by draw, in
// proportion to what is left of the capacity.
func (g *group) pick(client netip.Addr, draw uint64) *candidate {
	best := g.all[:g.best]
	if len(best) == 0 {
		return nil
	}
	if client.IsValid() {
		return nearest(best, client)
	}
	total := uint64(0)
	for i := range best {
		total += best[i].room
	}
	draw %= total
	for i := range best {
		if draw < best[i].room {
			return &best[i]
		}
		draw -= best[i].room
	}
	return nil // not reached
}

func nearest(best []candidate, client netip.Addr) *candidate {
	bytes := client.As16()
	h := fnv.New64a()
	h.Write(bytes[:])
	seed := h.Sum64()
	chosen, highest := 0, math.Inf(-1)
	for i := range best {
		// Weighted rendezvous: the logarithm of a uniform number, divided by the weight.
		uniform := (float64(mix(seed^best[i].hash)>>11) + 0.5) / (1 << 53)
		if score := math.Log(uniform) / float64(best[i].capacity); score > highest {
			chosen, highest = i, score
		}
	}
	return &best[chosen]
}

// mix is the finalizer of splitmix64: every bit of the result depends on all bits of x.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
