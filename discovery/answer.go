package discovery

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Question is what is asked, and for whom.
type Question struct {
	Name   string // as package dns spells it; its case is kept
	Type   uint16
	Client netip.Addr // who will use the answer; zero: not known, the question comes from a resolver
	Near   netip.Addr // if Client is zero: the resolver, whose site is taken for that of its clients; may be zero too
	Most   int        // records, of which more do not fit in the reply: it may end with the one after; 0: any number
	Draw   uint64     // a random number, by which the answers to resolvers are spread
}

// place is where the client is, as far as that is known.
func (q *Question) place() netip.Addr {
	if q.Client.IsValid() {
		return q.Client
	}
	return q.Near
}

// Answer is what is answered. Rcode is one of RFC 1035's.
type Answer struct {
	Rcode         int
	Authoritative bool
	Answer        []dns.RR
	Authority     []dns.RR
	Additional    []dns.RR // may be left out where there is no room
	Tailored      bool     // another client may get another answer
}

// place is a name that exists in the zone, with all that can be there.
type place struct {
	apex     bool
	all      bool     // the addresses of all gateways
	gateway  *gateway // its service addresses
	server   *gateway // the addresses at which it answers questions
	volume   *volume  // the address of a gateway for it, unless protocol is set
	protocol string   // a service, of the volume or of the cluster
	export   bool     // the volume as an instance of the service
	browse   bool     // RFC 6763 §11: the domain to browse is this one
	services bool     // RFC 6763 §9: which services there are
}

// firstMeta is the first of the types that stand for no data of a name.
const firstMeta = 128

// Answer answers a question. It depends on its arguments only.
func (z *Zone) Answer(q Question) Answer {
	p, inside, exists := z.find(q.Name)
	switch {
	case !inside:
		return Answer{Rcode: dns.RcodeRefused}
	case !exists:
		return Answer{Rcode: dns.RcodeNameError, Authoritative: true, Authority: []dns.RR{z.soa(z.apexOf(q.Name))}}
	case q.Type == dns.TypeANY: // RFC 8482 §4.2: nothing that would be worth a forged question
		return Answer{Authoritative: true, Answer: []dns.RR{&dns.HINFO{Hdr: z.header(q.Name, dns.TypeHINFO), Cpu: "RFC8482"}}}
	case q.Type == dns.TypeAXFR || q.Type == dns.TypeIXFR:
		return Answer{Rcode: dns.RcodeRefused}
	case q.Type == dns.TypeMAILA || q.Type == dns.TypeMAILB:
		return Answer{Rcode: dns.RcodeNotImplemented}
	case q.Type == dns.TypeOPT || q.Type >= firstMeta && q.Type < dns.TypeIXFR: // no data, but part of messages (RFC 6895 §3.1)
		return Answer{Rcode: dns.RcodeFormatError}
	}
	a := Answer{Authoritative: true}
	z.fill(&a, p, q)
	if len(a.Answer) == 0 {
		a.Authority = []dns.RR{z.soa(z.apexOf(q.Name))}
	}
	return a
}

// find returns what is at a name. A name between others that exist exists too (RFC 8020).
func (z *Zone) find(name string) (p place, inside, exists bool) {
	if len(name) < len(z.origin) || !strings.EqualFold(name[len(name)-len(z.origin):], z.origin) {
		return p, false, false
	}
	labels := dns.SplitDomainName(name)
	n := len(labels) - z.depth
	if n < 0 || !strings.EqualFold(strings.Join(labels[n:], ".")+".", z.origin) {
		return p, false, false
	}
	for i := range labels[:n] {
		labels[i] = strings.ToLower(labels[i])
	}
	p, exists = z.below(labels[:n])
	return p, true, exists
}

// below finds a name by its labels below the zone.
func (z *Zone) below(labels []string) (p place, exists bool) {
	last := func(i int) string { return labels[len(labels)-i] }
	switch len(labels) {
	case 0:
		return place{apex: true}, true
	case 1:
		return z.first(labels[0])
	}
	v := z.volumeAt[last(1)]
	switch {
	case last(1) == gatewaysLabel && len(labels) == 2:
		p.gateway = z.gatewayAt[labels[0]]
		return p, p.gateway != nil
	case last(1) == serversLabel && len(labels) == 2:
		p.server = z.gatewayAt[labels[0]]
		return p, p.server != nil
	case v != nil && last(2) == "_tcp" && len(labels) == 2:
		return p, true
	case v != nil && last(2) == "_tcp" && len(labels) == 3:
		p.volume, p.protocol = v, protocolOf(labels[0])
		return p, z.offers(v, p.protocol)
	case last(1) == "_tcp":
		return z.service(labels[:len(labels)-1])
	case last(1) == "_udp" && last(2) == "_dns-sd":
		return z.directory(labels[:len(labels)-2])
	}
	return p, false
}

func (z *Zone) first(label string) (p place, exists bool) {
	switch label {
	case gatewaysLabel:
		return place{all: true}, true
	case serversLabel, "_tcp", "_udp":
		return p, true
	}
	p.volume = z.volumeAt[label]
	return p, p.volume != nil
}

// service finds what is below _tcp: the service of the cluster, and the volumes as its instances.
func (z *Zone) service(labels []string) (p place, exists bool) {
	p.protocol = protocolOf(labels[len(labels)-1])
	switch len(labels) {
	case 1:
		return p, z.offers(nil, p.protocol)
	case 2:
		p.volume, p.export = z.instanceAt[labels[0]], true
		return p, p.volume != nil && z.offers(p.volume, p.protocol)
	}
	return p, false
}

// directory finds what is below _dns-sd._udp.
func (z *Zone) directory(labels []string) (p place, exists bool) {
	switch strings.Join(labels, ".") {
	case "":
		return p, true
	case "b", "lb", "db":
		return place{browse: true}, true
	case "_services":
		return place{services: true}, true
	}
	return p, false
}

// protocolOf returns the protocol of a label "_nfs", "" of others.
func protocolOf(label string) string {
	if name, ok := strings.CutPrefix(label, "_"); ok {
		return name
	}
	return ""
}

// apexOf returns the zone's name as it is spelled in a name below it.
func (z *Zone) apexOf(name string) string { return name[len(name)-len(z.origin):] }
