package discovery

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Zone answers questions from a View. It is immutable, and safe for concurrent use.
type Zone struct {
	view     View
	origin   string // in lower case, with the dot at its end
	depth    int    // labels of origin
	ttl      uint32
	hot      map[string]bool
	gateways []*gateway
	volumes  []*volume
	services []string // names of protocols

	gatewayAt  map[string]*gateway // by label
	volumeAt   map[string]*volume  // by label
	instanceAt map[string]*volume  // by instance name in lower case

	mu     sync.RWMutex
	groups map[kind]*group // computed when they are asked for; there are as many as domains and sites
}

type gateway struct {
	Gateway
	label    string
	hash     uint64 // of its name
	capacity uint64
	room     uint64
}

type volume struct {
	Volume
	label    string
	instance string
}

// Bounds of what is computed with; of real gateways they keep everything.
const maxCapacity = 1 << 32

// NewZone prepares the answers of a view. before is the zone that it replaces, or nil: a gateway that was too busy there has to become
// clearly less so before it gets clients again.
func NewZone(v View, before *Zone) (*Zone, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	v.Gateways, v.Volumes = slices.Clone(v.Gateways), slices.Clone(v.Volumes)
	slices.SortFunc(v.Gateways, compareGateways)
	slices.SortFunc(v.Volumes, compareVolumes)
	z := &Zone{view: v, origin: absolute(v.Zone), ttl: uint32(v.TTL.Seconds()), groups: map[kind]*group{},
		gatewayAt: map[string]*gateway{}, volumeAt: map[string]*volume{}, instanceAt: map[string]*volume{}}
	z.depth = dns.CountLabel(z.origin)
	var was map[string]bool
	if before != nil {
		was = before.hot
	}
	z.hot = heat(v.Gateways, was)
	z.addGateways()
	z.addVolumes()
	for name := range v.Services {
		z.services = append(z.services, name)
	}
	slices.Sort(z.services)
	return z, nil
}

func (z *Zone) addGateways() {
	names, mean := []string{}, average(z.view.Gateways)
	for _, g := range z.view.Gateways {
		names = append(names, g.Name)
	}
	label := labels(names)
	for _, v := range z.view.Gateways {
		v.Addresses = slices.Clone(v.Addresses)
		slices.SortFunc(v.Addresses, netip.Addr.Compare)
		h := fnv.New64a()
		h.Write([]byte(v.Name))
		g := &gateway{Gateway: v, label: label[v.Name], hash: h.Sum64(), capacity: min(max(v.Capacity, 1), maxCapacity)}
		used := v.Utilization
		if used < 0 {
			used = mean
		}
		g.room = max(g.capacity*uint64(100-min(used, 100)), 1)
		z.gateways, z.gatewayAt[g.label] = append(z.gateways, g), g
	}
}

// average is the utilization of those that reported it: that of others is taken for the same.
func average(gateways []Gateway) int {
	sum, known := 0, 0
	for _, g := range gateways {
		if g.State != Down && g.Utilization >= 0 {
			sum, known = sum+g.Utilization, known+1
		}
	}
	return sum / max(known, 1)
}

func (z *Zone) addVolumes() {
	names, folded := []string{}, map[string]int{}
	for _, v := range z.view.Volumes {
		names = append(names, v.Name)
		folded[strings.ToLower(v.Name)]++
	}
	label := labels(names, gatewaysLabel, serversLabel)
	for _, one := range z.view.Volumes {
		v := &volume{Volume: one, label: label[one.Name], instance: instance(one.Name)}
		if folded[strings.ToLower(one.Name)] > 1 { // DNS does not tell them apart
			v.instance = v.label
		}
		v.Domain = cmp.Or(v.Domain, allDomain)
		z.volumes = append(z.volumes, v)
		z.volumeAt[v.label], z.instanceAt[strings.ToLower(v.instance)] = v, v
	}
}

// group returns who may be answered for a volume, or for all if v is nil, to clients at a place.
func (z *Zone) group(v *volume, place netip.Addr) *group {
	k := kind{}
	if place.IsValid() {
		k.site = siteOf(z.view.Sites, place)
	}
	if v != nil && v.Domain != allDomain {
		k.domain, k.strict = v.Domain, v.Strict
	}
	z.mu.RLock()
	g := z.groups[k]
	z.mu.RUnlock()
	if g != nil {
		return g
	}
	g = z.choose(k)
	z.mu.Lock()
	z.groups[k] = g
	z.mu.Unlock()
	return g
}

// offers reports whether clients can use a volume by a protocol now.
func (z *Zone) offers(v *volume, protocol string) bool {
	return z.view.Services[protocol] != 0 && (v == nil || v.Protocols == nil || slices.Contains(v.Protocols, protocol))
}
