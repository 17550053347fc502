package discovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// View is what is known of the cluster at a moment. Every gateway that knows the same answers the same.
type View struct {
	Zone     string            // "nas.example.com"; required
	Serial   uint32            // rises with what is known
	TTL      time.Duration     // of answers that depend on load, whole seconds from 1s to 1h; default 5s
	Services map[string]uint16 // port of each protocol ("nfs", "smb", "causeway"), the same at all gateways
	Gateways []Gateway
	Volumes  []Volume
	Sites    []Site
}

// State says whether clients are sent to a gateway.
type State uint8

// The states.
const (
	Down     State = iota // it does not run
	Draining              // it runs, and shall get no new clients
	Active
)

var stateNames = [...]string{Down: "down", Draining: "draining", Active: "active"}

// String names the state.
func (s State) String() string { return stateNames[s] }

// UnknownUtilization is that of a gateway that has not reported its load yet.
const UnknownUtilization = -1

// Gateway is a gateway of the cluster.
type Gateway struct {
	Name        string
	State       State
	Addresses   []netip.Addr     // service addresses at which it answers clients itself
	DNS         []netip.AddrPort // where it answers questions
	Services    []string         // protocols that it speaks; nil: all
	Capacity    uint64           // against the other gateways'
	Utilization int              // percent, or UnknownUtilization
	Threshold   uint8            // percent of utilization above which it gets no new clients; 0: 85
	Domains     []string         // beside "all"; a domain that has the name of a site lies there
}

// Volume is an export.
type Volume struct {
	Name      string
	Domain    string   // "all": every gateway reaches its storage
	Strict    bool     // gateways outside of the domain refuse it; else they pass requests on
	Protocols []string // of View.Services; nil: all
}

// Site is a place where clients are: the gateways there are preferred.
type Site struct {
	Name     string
	Networks []netip.Prefix
}

const (
	defaultTTL       = 5 * time.Second
	maxTTL           = time.Hour
	maxZone          = 150 // characters: leaves room for the longest names below it
	allDomain        = "all"
	defaultThreshold = 85
)

// Validate sets defaults, and names the field that is wrong.
func (v *View) Validate() error {
	zone, err := CheckZone(v.Zone)
	if err != nil {
		return err
	}
	v.Zone = zone
	if v.TTL == 0 {
		v.TTL = defaultTTL
	}
	if v.TTL < time.Second || v.TTL > maxTTL {
		return fmt.Errorf("discovery: TTL %v is not within 1s to %v", v.TTL, maxTTL)
	}
	for _, s := range v.Sites {
		if s.Name == "" || slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return !p.IsValid() }) {
			return fmt.Errorf("discovery: site %q with networks %v", s.Name, s.Networks)
		}
	}
	return nil
}

// CheckZone returns the name of a zone in lower case without a dot at its end, or says why it cannot be one.
func CheckZone(name string) (string, error) {
	zone := strings.ToLower(strings.TrimSuffix(name, "."))
	if len(zone) > maxZone {
		return "", fmt.Errorf("zone %.40q…: more than %d characters", zone, maxZone)
	}
	for label := range strings.SplitSeq(zone, ".") {
		if label == "" || len(label) > maxLabel || !isHostLabel(label) {
			return "", fmt.Errorf("zone %q is no domain name as in nas.example.com", name)
		}
	}
	return zone, nil
}

// SiteOf returns the site with the longest network that contains the client, or "".
func SiteOf(sites []Site, client netip.Addr) string { return siteOf(sites, client) }

// At reports whether a gateway is at a site.
func (g *Gateway) At(s *Site) bool { return g.at(s) }

// Nearest returns those of the addresses that are in the networks of a client's site, or, of a family of which none is, all.
func Nearest(sites []Site, client netip.Addr, addresses []netip.Addr) []netip.Addr {
	name := siteOf(sites, client)
	if name == "" {
		return addresses
	}
	i := slices.IndexFunc(sites, func(s Site) bool { return s.Name == name })
	here := func(a netip.Addr) bool {
		return slices.ContainsFunc(sites[i].Networks, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool {
		alike := func(b netip.Addr) bool { return b.Is4() == a.Is4() && here(b) }
		return !here(a) && slices.ContainsFunc(addresses, alike)
	})
}

// siteOf returns the site with the longest network that contains the client, or "".
func siteOf(sites []Site, client netip.Addr) string {
	name, bits := "", -1
	for _, s := range sites {
		for _, p := range s.Networks {
			if p.Bits() > bits && p.Contains(client) {
				name, bits = s.Name, p.Bits()
			}
		}
	}
	return name
}

// at reports whether a gateway is at a site: it is in a domain of that name, or has a service address in one of its networks.
func (g *Gateway) at(s *Site) bool {
	if slices.Contains(g.Domains, s.Name) {
		return true
	}
	return slices.ContainsFunc(g.Addresses, func(a netip.Addr) bool {
		return slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return p.Contains(a) })
	})
}

// speaks reports whether it answers clients of a protocol.
func (g *Gateway) speaks(protocol string) bool {
	return g.Services == nil || slices.Contains(g.Services, protocol)
}

// in reports whether it reaches the storage of a domain's volumes.
func (g *Gateway) in(domain string) bool {
	return domain == allDomain || slices.Contains(g.Domains, domain)
}

func compareVolumes(a, b Volume) int   { return cmp.Compare(a.Name, b.Name) }
func compareGateways(a, b Gateway) int { return cmp.Compare(a.Name, b.Name) }

// absolute returns a name as package dns spells it.
func absolute(zone string) string { return dns.Fqdn(zone) }
