package member

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"causeway/cluster/record"
	"causeway/discovery"
)

// Discovery says what this gateway answers by DNS.
type Discovery struct {
	Server *discovery.Server // that is told what to answer; nil: other gateways answer
	Zone   string            // that this gateway gives the cluster, if it has none yet; ""
}

// announceEvery bounds how often the zone is computed: on a change, but not on each of many.
const announceEvery = 100 * time.Millisecond

// announcer keeps the zone up to date. It is follow's alone.
type announcer struct {
	seen int64
	at   time.Time
}

// announce answers by DNS what the records say.
func (m *Member) announce(t *record.Table) {
	a := &m.announcer
	if t.Revision() == a.seen || time.Since(a.at) < announceEvery {
		return // follow comes again
	}
	a.seen, a.at = t.Revision(), time.Now()
	v := view(t)
	m.rank(v)
	if v.Zone == "" {
		m.zone.Store(nil)
	} else if z, err := discovery.NewZone(v, m.zone.Load()); err != nil {
		m.log.Error("the zone cannot be answered", "err", err)
		m.zone.Store(nil)
	} else {
		m.zone.Store(z)
	}
	if s := m.cfg.Discovery.Server; s != nil {
		s.Publish(m.zone.Load())
	}
}

// exceptSMB are the protocols of a volume that is no share.
var exceptSMB = []string{"nfs", "causeway"}

// unnamed stands for the zone of a cluster that has none: its gateways are ranked all the same.
const unnamed = "cluster.invalid"

// rank keeps the order in which clients of SMB use the gateways.
func (m *Member) rank(v discovery.View) {
	if v.Zone == "" {
		v.Zone = unnamed
	}
	v.Gateways = slices.DeleteFunc(slices.Clone(v.Gateways), func(g discovery.Gateway) bool { return !slices.Contains(g.Services, "smb") })
	z, err := discovery.NewZone(v, m.ranking.Load())
	if err != nil {
		m.log.Error("the gateways cannot be ranked", "err", err)
		return
	}
	m.ranking.Store(z)
}

// Order returns the addresses at which a client shall use a volume, the best first; nil if nothing is known of it.
func (m *Member) Order(volume string, client netip.Addr) []netip.Addr {
	z := m.ranking.Load()
	if z == nil {
		return nil
	}
	return z.Order(volume, client)
}

// ReferralTTL is for how long clients of SMB keep the answer of Order.
func (m *Member) ReferralTTL() time.Duration {
	ttl := m.Cluster().Table().Settings().ReferralTTL
	if ttl == 0 {
		ttl = record.DefaultReferralTTL
	}
	return time.Duration(ttl)
}

// view is what discovery knows of the records.
func view(t *record.Table) discovery.View {
	s := t.Settings()
	v := discovery.View{Zone: s.Zone, Serial: uint32(t.Revision()), Services: map[string]uint16{}}
	home := Answering(t) // an address that was taken over goes back, and its clients with it
	for _, item := range t.Items(record.KindNode) {
		n := item.Value.(*record.Node)
		g := discovery.Gateway{Name: n.Name, Addresses: home[n.Name], Capacity: n.Weight, Threshold: n.Threshold, Domains: DomainsOf(t, n),
			Utilization: discovery.UnknownUtilization}
		if member, _ := t.Member(n.Name); member != nil {
			g.State, g.DNS, g.Services = discovery.Active, member.DNS, slices.Sorted(maps.Keys(member.Services))
			maps.Copy(v.Services, member.Services) // the ports are the same at all gateways
			if n.State == record.Draining {
				g.State = discovery.Draining
			}
		}
		if load := t.Get(record.Named(record.KindLoad, n.Name)); load != nil {
			g.Utilization = int(load.Value.(*record.Load).Utilization)
		}
		v.Gateways = append(v.Gateways, g)
	}
	for _, item := range t.Items(record.KindVolume) {
		r := item.Value.(*record.Volume)
		one := discovery.Volume{Name: r.Name, Domain: DomainOf(t, r), Strict: r.DomainPolicy == record.Strict}
		if r.Share().Off {
			one.Protocols = exceptSMB
		}
		v.Volumes = append(v.Volumes, one)
	}
	v.Sites = DiscoverySites(t)
	return v
}

// DiscoverySites are the sites of the records.
func DiscoverySites(t *record.Table) (all []discovery.Site) {
	for _, site := range t.Settings().Sites {
		all = append(all, discovery.Site{Name: site.Name, Networks: site.Networks})
	}
	return all
}

// claimZone gives the cluster the zone that this gateway was started with.
func (m *Member) claimZone(ctx context.Context) error {
	zone := m.cfg.Discovery.Zone
	if zone == "" || m.Cluster().Table().Settings().Zone == zone {
		return nil
	}
	return m.changeSettings(ctx, func(s *record.Settings) error {
		if s.Zone != "" && s.Zone != zone {
			return fmt.Errorf("the cluster's zone is %s, not %s: leave --zone out, or change it with causeway cluster set --zone", s.Zone, zone)
		}
		s.Zone = zone
		return nil
	})
}

// setZone changes the zone; "off": none.
func setZone(s *record.Settings, zone string) (err error) {
	if zone == "off" {
		s.Zone = ""
		return nil
	}
	s.Zone, err = discovery.CheckZone(zone)
	return err
}

// DiscoveryOrder asks what is answered by DNS.
type DiscoveryOrder struct {
	Client netip.Addr `json:"client"` // to whom; zero: to resolvers that do not say for whom they ask
}

func (m *Member) discover(_ context.Context, o DiscoveryOrder) (any, error) {
	z := m.zone.Load()
	if z == nil {
		return nil, errors.New("the cluster has no zone: causeway cluster set --zone gives it one")
	}
	return z.Records(o.Client.Unmap()), nil
}

// SiteOrder sets the networks of a site.
type SiteOrder struct {
	Name     string         `json:"name"`
	Networks []netip.Prefix `json:"networks"`
}

func (m *Member) setSite(ctx context.Context, o SiteOrder) (any, error) {
	if len(o.Networks) == 0 {
		return nil, errors.New("a site has networks, as in 10.7.0.0/16")
	}
	site := record.Site{Name: o.Name}
	for _, p := range o.Networks {
		if !p.IsValid() {
			return nil, fmt.Errorf("%v is no network, as 10.7.0.0/16 is", p)
		}
		site.Networks = append(site.Networks, p.Masked())
	}
	return m.changeSites(ctx, func(s *record.Settings) error {
		for _, other := range s.Sites {
			for _, p := range other.Networks {
				if other.Name != o.Name && slices.Contains(site.Networks, p) {
					return fmt.Errorf("%v belongs to %s already", p, other.Name)
				}
			}
		}
		s.Sites = append(exceptSite(s.Sites, o.Name), site)
		return nil
	})
}

func (m *Member) removeSite(ctx context.Context, o Named) (any, error) {
	return m.changeSites(ctx, func(s *record.Settings) error {
		before := len(s.Sites)
		if s.Sites = exceptSite(s.Sites, o.Name); len(s.Sites) == before {
			return fmt.Errorf("there is no site %s", o.Name)
		}
		return nil
	})
}

func (m *Member) changeSites(ctx context.Context, edit func(*record.Settings) error) (any, error) {
	if err := m.changeSettings(ctx, edit); err != nil {
		return nil, err
	}
	return m.settings().Sites, m.Cluster().Everywhere(ctx)
}

// exceptSite leaves a site out.
func exceptSite(sites []record.Site, name string) []record.Site {
	return slices.DeleteFunc(slices.Clone(sites), func(s record.Site) bool { return s.Name == name })
}
