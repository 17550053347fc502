package discovery

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Bounds of one answer: beyond them a client has enough to choose from.
const (
	maxTargets = 32   // gateways in SRV records
	maxListed  = 1000 // exports that a browser is shown
)

// steadyTTL is that of what changes when gateways are added or removed, in seconds.
const steadyTTL = 60

// fill answers a question about a place that exists.
func (z *Zone) fill(a *Answer, p place, q Question) {
	switch {
	case p.apex:
		z.fillApex(a, q)
	case p.all:
		z.fillAll(a, q)
	case p.gateway != nil:
		z.fillGateway(a, p.gateway, q)
	case p.server != nil:
		a.Answer = z.hosts(q.Name, q.Type, p.server.servers(), steadyTTL)
	case p.export:
		z.fillExport(a, p, q)
	case p.protocol != "":
		z.fillService(a, p, q)
	case p.volume != nil:
		z.fillHost(a, p.volume, q)
	case p.browse && q.Type == dns.TypePTR:
		a.Answer = []dns.RR{z.pointer(q.Name, z.apexOf(q.Name))}
	case p.services && q.Type == dns.TypePTR:
		for _, name := range z.services {
			a.Answer = append(a.Answer, z.pointer(q.Name, "_"+name+"._tcp."+z.apexOf(q.Name)))
		}
	}
}

// fillHost answers with the addresses of one gateway for a volume, or for all if v is nil. One is enough: its address moves when it dies; of
// several, resolvers and clients (RFC 6724 §6) would choose by rules of their own.
func (z *Zone) fillHost(a *Answer, v *volume, q Question) {
	a.Tailored = true
	if c := z.group(v, q.place()).pick(q.Client, q.Draw); c != nil {
		a.Answer = z.hosts(q.Name, q.Type, Nearest(z.view.Sites, q.place(), c.Addresses), z.ttl)
	}
}

func (z *Zone) fillAll(a *Answer, q Question) {
	var all []netip.Addr
	for _, c := range z.group(nil, netip.Addr{}).all {
		all = append(all, c.Addresses...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	a.Answer = z.hosts(q.Name, q.Type, slices.Compact(all), z.ttl)
}

// fillGateway answers for a gateway that is asked for by its name, which it has as long as it runs.
func (z *Zone) fillGateway(a *Answer, g *gateway, q Question) {
	if g.State != Down {
		a.Answer = z.hosts(q.Name, q.Type, g.Addresses, z.ttl)
	}
}

func (z *Zone) fillApex(a *Answer, q Question) {
	switch q.Type {
	case dns.TypeSOA:
		a.Answer = []dns.RR{z.soa(q.Name)}
	case dns.TypeNS:
		for _, g := range z.gateways {
			if addresses := g.servers(); len(addresses) > 0 {
				name := g.label + "." + serversLabel + "." + q.Name
				a.Answer = append(a.Answer, &dns.NS{Hdr: z.steady(q.Name, dns.TypeNS), Ns: name})
				a.Additional = append(a.Additional, z.bothHosts(name, addresses, steadyTTL)...)
			}
		}
	default:
		z.fillHost(a, nil, q)
		a.Tailored = len(a.Answer) > 0
	}
}

// servers are the addresses at which a gateway answers questions, if it runs.
func (g *gateway) servers() (all []netip.Addr) {
	if g.State == Down {
		return nil
	}
	for _, at := range g.DNS {
		all = append(all, at.Addr().Unmap())
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// fillService answers for a service of a volume or of the cluster: who has it (SRV), and the cluster's instances of it (PTR).
func (z *Zone) fillService(a *Answer, p place, q Question) {
	switch {
	case q.Type == dns.TypeSRV:
		z.fillTargets(a, p, q)
	case q.Type == dns.TypeTXT && p.volume != nil:
		a.Answer = []dns.RR{z.text(q.Name, p.volume, p.protocol)}
	case q.Type == dns.TypePTR && p.volume == nil:
		for _, v := range z.volumes {
			if q.Most > 0 && len(a.Answer) > q.Most {
				break
			}
			if len(a.Answer) < maxListed && z.offers(v, p.protocol) && z.group(v, netip.Addr{}).best > 0 {
				a.Answer = append(a.Answer, z.pointer(q.Name, v.instance+"."+q.Name))
			}
		}
	}
}

// fillTargets lists gateways: the priority is the rank of their tier, the weight what is left of their capacity (RFC 2782).
func (z *Zone) fillTargets(a *Answer, p place, q Question) {
	a.Tailored = true
	g := z.group(p.volume, q.place())
	all := slices.DeleteFunc(slices.Clone(g.all), func(c candidate) bool { return !c.speaks(p.protocol) })
	all = all[:min(len(all), maxTargets)]
	highest := uint64(1)
	for _, c := range all {
		highest = max(highest, c.room)
	}
	apex := z.apexOf(q.Name)
	for _, c := range all {
		target := c.label + "." + gatewaysLabel + "." + apex
		a.Answer = append(a.Answer, &dns.SRV{Hdr: z.header(q.Name, dns.TypeSRV), Priority: priority(c), Weight: weight(c, highest),
			Port: z.view.Services[p.protocol], Target: target})
		a.Additional = append(a.Additional, z.bothHosts(target, c.Addresses, z.ttl)...)
	}
}

func priority(c candidate) uint16 { return 10 * (1 + uint16(c.behind)) }

// weight is in thousandths of the highest, and at least 1: RFC 2782 has another meaning for 0.
func weight(c candidate, highest uint64) uint16 {
	return uint16(max(float64(c.room)/float64(highest)*1000, 1))
}

// fillExport answers for a volume as an instance of a service (RFC 6763 §5, §6). Its host is the volume's name, so that the gateway is chosen when
// it is used.
func (z *Zone) fillExport(a *Answer, p place, q Question) {
	switch q.Type {
	case dns.TypeSRV:
		host := p.volume.label + "." + z.apexOf(q.Name)
		a.Answer = []dns.RR{&dns.SRV{Hdr: z.header(q.Name, dns.TypeSRV), Port: z.view.Services[p.protocol], Target: host}}
		if c := z.group(p.volume, q.place()).pick(q.Client, q.Draw); c != nil {
			a.Tailored = true
			a.Additional = z.bothHosts(host, c.Addresses, z.ttl)
		}
	case dns.TypeTXT:
		a.Answer = []dns.RR{z.text(q.Name, p.volume, p.protocol)}
	}
}

// text says what an export is. The path is what NFS mounts, and with its first character left out the name of the SMB share.
func (z *Zone) text(name string, v *volume, protocol string) dns.RR {
	var protocols []string
	for _, s := range z.services {
		if z.offers(v, s) {
			protocols = append(protocols, s)
		}
	}
	words := []string{"txtvers=1", "path=/" + v.Name, "protocols=" + strings.Join(protocols, ","), "domain=" + v.Domain}
	if protocol == "smb" {
		words = append(words, "share="+v.Name)
	}
	return &dns.TXT{Hdr: z.steady(name, dns.TypeTXT), Txt: words}
}

func (z *Zone) soa(name string) dns.RR {
	server := gatewaysLabel + "."
	for _, g := range z.gateways {
		if len(g.servers()) > 0 {
			server = g.label + "." + serversLabel + "."
			break
		}
	}
	// Nobody transfers this zone: of the times only the last one counts, how long a name that is not there is not asked for again.
	return &dns.SOA{Hdr: z.header(name, dns.TypeSOA), Ns: server + name, Mbox: "hostmaster." + name, Serial: z.view.Serial,
		Refresh: 3600, Retry: 600, Expire: 86400, Minttl: z.ttl}
}

func (z *Zone) pointer(name, to string) dns.RR {
	return &dns.PTR{Hdr: z.header(name, dns.TypePTR), Ptr: to}
}

func (z *Zone) header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: z.ttl}
}

func (z *Zone) steady(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: steadyTTL}
}

// hosts returns the A or AAAA records of a name, whichever kind is.
func (z *Zone) hosts(name string, kind uint16, addresses []netip.Addr, ttl uint32) (all []dns.RR) {
	h := dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
	for _, a := range addresses {
		switch {
		case kind == dns.TypeA && a.Is4():
			all = append(all, &dns.A{Hdr: h, A: a.AsSlice()})
		case kind == dns.TypeAAAA && a.Is6() && !a.Is4In6():
			all = append(all, &dns.AAAA{Hdr: h, AAAA: a.AsSlice()})
		}
	}
	return all
}

func (z *Zone) bothHosts(name string, addresses []netip.Addr, ttl uint32) []dns.RR {
	return append(z.hosts(name, dns.TypeA, addresses, ttl), z.hosts(name, dns.TypeAAAA, addresses, ttl)...)
}
