package member

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"causeway/cluster"
	"causeway/cluster/record"
)

// Settings is what is set for the whole cluster.
type Settings struct {
	HoldDown    float64       `json:"hold_down"`    // seconds
	ReferralTTL float64       `json:"referral_ttl"` // seconds
	Budget      int           `json:"budget"`       // volumes that a rebalance moves at most; 0: the default
	MinVersion  uint32        `json:"min_version"`  // of the protocol, which every gateway must speak
	Schedules   []Schedule    `json:"schedules"`
	Zone        string        `json:"zone"` // that gateways answer for by DNS; "": none
	Sites       []record.Site `json:"sites"`
	Redirect    Redirects     `json:"redirect"`
}

// Schedule is when the master rebalances by itself.
type Schedule struct {
	Cron     string    `json:"cron"`
	Thorough bool      `json:"thorough"`
	Next     time.Time `json:"next"`
}

func (m *Member) settings() Settings {
	t := m.Cluster().Table()
	r := t.Settings()
	s := Settings{HoldDown: time.Duration(r.HoldDown).Seconds(), Budget: r.Budget, Schedules: []Schedule{}, Zone: r.Zone, Sites: append([]record.Site{}, r.Sites...)}
	s.ReferralTTL = m.ReferralTTL().Seconds()
	s.Redirect = redirects(r)
	if c := t.Cluster(); c != nil {
		s.MinVersion = c.MinVersion
	}
	for i := range r.Schedules {
		next, _ := r.Schedules[i].Next(r.Schedules[i].Since.Local()) // it was checked when it was written
		s.Schedules = append(s.Schedules, Schedule{r.Schedules[i].Cron, r.Schedules[i].Thorough, next})
	}
	return s
}

// ClusterOrder changes what it does not leave out.
type ClusterOrder struct {
	HoldDown    *time.Duration    `json:"hold_down,omitempty"`
	ReferralTTL *time.Duration    `json:"referral_ttl,omitempty"`
	Budget      *int              `json:"budget,omitempty"`
	MinVersion  *uint32           `json:"min_version,omitempty"`
	Zone        *string           `json:"zone,omitempty"` // "off": none
	Redirect    *RedirectSettings `json:"redirect,omitempty"`
}

func (m *Member) setCluster(ctx context.Context, o ClusterOrder) (any, error) {
	if o.MinVersion != nil {
		if err := m.setMinVersion(ctx, *o.MinVersion); err != nil {
			return nil, err
		}
	}
	if o.HoldDown != nil || o.ReferralTTL != nil || o.Budget != nil || o.Zone != nil || o.Redirect != nil {
		err := m.changeSettings(ctx, func(s *record.Settings) error {
			if o.HoldDown != nil {
				s.HoldDown = record.Duration(*o.HoldDown)
			}
			if o.ReferralTTL != nil {
				s.ReferralTTL = record.Duration(*o.ReferralTTL)
			}
			put(&s.Budget, o.Budget)
			if o.Zone != nil {
				if err := setZone(s, *o.Zone); err != nil {
					return err
				}
			}
			return o.Redirect.apply(s)
		})
		if err != nil {
			return nil, err
		}
	}
	return m.settings(), m.Cluster().Everywhere(ctx)
}

// setMinVersion raises what every gateway must speak. A gateway that does not run now must be able to come back.
func (m *Member) setMinVersion(ctx context.Context, to uint32) error {
	t := m.Cluster().Table()
	for item := range t.All(record.KindNode) {
		member, _ := t.Member(item.Key.Name)
		if member == nil {
			return fmt.Errorf("node %s does not run: whether it speaks version %d is not known; start it, or remove it", item.Key.Name, to)
		}
		if to > member.Versions.Max || to < member.Versions.Min {
			return fmt.Errorf("gateway %s speaks the versions %d to %d", item.Key.Name, member.Versions.Min, member.Versions.Max)
		}
	}
	return m.change(ctx, record.Sole(record.KindCluster), func(r record.Record) (record.Record, error) {
		c := *r.(*record.Cluster)
		if to < c.MinVersion {
			return nil, fmt.Errorf("the cluster needs version %d already: records of it may be stored", c.MinVersion)
		}
		c.MinVersion = to
		return &c, nil
	})
}

// changeSettings changes the settings, which need not have been set before.
func (m *Member) changeSettings(ctx context.Context, edit func(*record.Settings) error) error {
	key := record.Sole(record.KindSettings)
	if m.Cluster().Table().Get(key) == nil {
		if _, err := m.transact(ctx, record.Create(key, record.DefaultSettings(), 0), key); err != nil {
			return err
		}
	}
	return m.change(ctx, key, func(r record.Record) (record.Record, error) {
		s := *r.(*record.Settings)
		s.Schedules = slices.Clone(s.Schedules)
		return &s, edit(&s)
	})
}

// ScheduleOrder sets when the master rebalances by itself: in place of what was set for ordinary rebalances, or for thorough ones.
type ScheduleOrder struct {
	Cron     string `json:"cron"` // "off": never
	Thorough bool   `json:"thorough"`
}

func (m *Member) setSchedule(ctx context.Context, o ScheduleOrder) (any, error) {
	if o.Cron == "" {
		return nil, errors.New("a schedule has five fields, as in 30 2 * * *")
	}
	err := m.changeSettings(ctx, func(s *record.Settings) error {
		s.Schedules = slices.DeleteFunc(s.Schedules, func(x record.Schedule) bool { return x.Thorough == o.Thorough })
		if o.Cron != "off" {
			s.Schedules = append(s.Schedules, record.Schedule{Cron: o.Cron, Thorough: o.Thorough, Since: time.Now().UTC().Truncate(time.Second)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m.settings(), m.Cluster().Everywhere(ctx)
}

// nodes adds to what the cluster knows of nodes what was set for them, and what they reported.
func (m *Member) nodes(known []cluster.NodeStatus) []Node {
	t, in := m.Cluster().Table(), m.Cluster().Input(false)
	p, err := plan(in)
	var list []Node
	for _, k := range known {
		r := t.Node(k.Name)
		if r == nil {
			continue
		}
		n := Node{NodeStatus: k, Weight: r.Weight, AutoWeight: r.AutoWeight, Groups: r.Groups, Domains: r.Domains,
			UpdateInterval: time.Duration(r.UpdateInterval).Seconds(), Threshold: r.Threshold, HeldDown: in.HeldDown[k.Name]}
		if item := t.Get(record.Named(record.KindLoad, k.Name)); item != nil {
			l := item.Value.(*record.Load)
			n.Utilization, n.Parts = &l.Utilization, l.Parts
		}
		if err == nil {
			for _, c := range p.Capacities {
				if c.Node == k.Name && p.Scale > 0 {
					n.Ideal, n.Remaining = float64(c.Ideal)/float64(p.Scale), float64(c.Remaining)/float64(p.Scale)
				}
			}
		}
		list = append(list, n)
	}
	return list
}
