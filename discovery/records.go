package discovery

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Records is what is answered now, with the reasons, for people.
type Records struct {
	Zone     string     `json:"zone"`
	Serial   uint32     `json:"serial"`
	TTL      uint32     `json:"ttl"`              // seconds
	Client   string     `json:"client,omitempty"` // for whom; absent: for resolvers that do not say for whom they ask
	Site     string     `json:"site,omitempty"`   // where the client is
	Gateways []Standing `json:"gateways"`
	Records  []Record   `json:"records"`
}

// Standing is how a gateway stands among the others.
type Standing struct {
	Gateway     string       `json:"gateway"`
	State       string       `json:"state"`
	Utilization *int         `json:"utilization,omitempty"` // percent
	Capacity    uint64       `json:"capacity"`
	Addresses   []netip.Addr `json:"addresses"`
	Chosen      bool         `json:"chosen"` // clients are sent to it for volumes that all gateways reach
	Why         string       `json:"why"`
}

// Record is a record of the zone.
type Record struct {
	Name  string `json:"name"`
	TTL   uint32 `json:"ttl"`
	Type  string `json:"type"`
	Value string `json:"value"`
	Why   string `json:"why,omitempty"`
}

// Records lists what is answered to a client, or to resolvers if it is zero. Of very many volumes it lists the first thousand.
func (z *Zone) Records(client netip.Addr) *Records {
	r := &Records{Zone: z.view.Zone, Serial: z.view.Serial, TTL: z.ttl}
	if client.IsValid() {
		r.Client, r.Site = client.String(), siteOf(z.view.Sites, client)
	}
	all := z.group(nil, client)
	for _, g := range z.gateways {
		r.Gateways = append(r.Gateways, z.standing(g, all))
	}
	for _, kind := range []uint16{dns.TypeSOA, dns.TypeNS} {
		r.list(z, "", kind, "")
	}
	r.host(z, "", nil, client)
	r.list(z, gatewaysLabel+".", dns.TypeA, "all that get clients")
	r.list(z, gatewaysLabel+".", dns.TypeAAAA, "all that get clients")
	for _, g := range z.gateways {
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			r.list(z, g.label+"."+gatewaysLabel+".", kind, "asked for by its name")
			r.list(z, g.label+"."+serversLabel+".", kind, "where it answers questions")
		}
	}
	r.list(z, "b._dns-sd._udp.", dns.TypePTR, "")
	r.list(z, "_services._dns-sd._udp.", dns.TypePTR, "")
	for _, s := range z.services {
		r.list(z, "_"+s+"._tcp.", dns.TypePTR, "")
		r.list(z, "_"+s+"._tcp.", dns.TypeSRV, "")
	}
	for _, v := range z.volumes[:min(len(z.volumes), maxListed)] {
		r.volume(z, v, client)
	}
	return r
}

func (z *Zone) standing(g *gateway, all *group) Standing {
	s := Standing{Gateway: g.Name, State: g.State.String(), Capacity: g.capacity, Addresses: g.Addresses}
	if g.Utilization >= 0 {
		s.Utilization = &g.Utilization
	}
	s.Why = "it does not run"
	if g.State != Down {
		s.Why = "no service address is at it"
	}
	for i, c := range all.all {
		if c.gateway == g {
			s.Chosen, s.Why = i < all.best, c.why()
		}
	}
	if g.State == Draining && !s.Chosen {
		s.Why = "it drains"
	}
	return s
}

// why says what puts a candidate behind others.
func (c *candidate) why() string {
	var words []string
	for i, word := range []string{"it is too busy", "it passes requests on to others", "it is at another site", "it drains, and nobody else is left"} {
		if c.behind>>i&1 != 0 {
			words = append(words, word)
		}
	}
	if words == nil {
		return fmt.Sprintf("%d%% of its capacity is free", c.room/c.capacity)
	}
	return strings.Join(words, "; ")
}

// volume lists what there is of a volume.
func (r *Records) volume(z *Zone, v *volume, client netip.Addr) {
	r.host(z, v.label+".", v, client)
	q := Question{Client: client}
	for _, s := range z.services {
		for _, one := range []struct {
			name string
			kind uint16
		}{{"_" + s + "._tcp." + v.label + ".", dns.TypeSRV}, {v.instance + "._" + s + "._tcp.", dns.TypeSRV}, {v.instance + "._" + s + "._tcp.", dns.TypeTXT}} {
			q.Name, q.Type = one.name+z.origin, one.kind
			r.add(z.Answer(q).Answer, "")
		}
	}
}

// host lists the addresses for a volume, or for all if v is nil: the ones of a client's gateway, or all between which is drawn.
func (r *Records) host(z *Zone, prefix string, v *volume, client netip.Addr) {
	g := z.group(v, client)
	total := uint64(0)
	for _, c := range g.all[:g.best] {
		total += c.room
	}
	mine := g.pick(client, 0)
	for i := range g.all[:g.best] {
		c := &g.all[i]
		why := fmt.Sprintf("%s: %d%% of the answers; %s", c.Name, c.room*100/total, c.why())
		if client.IsValid() {
			if c != mine {
				continue
			}
			why = fmt.Sprintf("%s, of %d that come into question; %s", c.Name, g.best, c.why())
		}
		r.add(z.bothHosts(prefix+z.origin, c.Addresses, z.ttl), why)
	}
}

// list adds the answer to a question that is answered to all the same.
func (r *Records) list(z *Zone, prefix string, kind uint16, why string) {
	r.add(z.Answer(Question{Name: prefix + z.origin, Type: kind}).Answer, why)
}

func (r *Records) add(all []dns.RR, why string) {
	for _, rr := range all {
		h := rr.Header()
		value := strings.ReplaceAll(strings.TrimPrefix(rr.String(), h.String()), "\t", " ")
		r.Records = append(r.Records, Record{Name: h.Name, TTL: h.Ttl, Type: dns.TypeToString[h.Rrtype], Value: value, Why: why})
	}
}
