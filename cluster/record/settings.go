package record

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
)

// Settings is what an operator sets for the whole cluster. Without a record, [DefaultSettings] holds.
type Settings struct {
	Header
	HoldDown  Duration   `json:"hold_down"`           // how long a node that came back gets no volumes that are well where they are
	Budget    int        `json:"budget,omitempty"`    // volumes that one rebalance moves at most, beside those without an owner; 0: the default of placement
	Schedules []Schedule `json:"schedules,omitempty"` // when the master rebalances by itself
	Zone      string     `json:"zone,omitempty"`      // the domain that gateways answer for by DNS; empty: none
	Sites     []Site     `json:"sites,omitempty"`     // where clients are
	// ReferralTTL is for how long clients of SMB keep a list of gateways; 0: DefaultReferralTTL.
	ReferralTTL Duration  `json:"referral_ttl,omitempty"`
	Redirect    *Redirect `json:"redirect,omitempty"` // how clients are sent elsewhere; nil: the defaults
}

// Redirect is how gateways send clients elsewhere. Zeros mean defaults, which the policy knows.
type Redirect struct {
	Off        []string `json:"off,omitempty"`        // ways that are not used, by name
	Average    bool     `json:"average,omitempty"`    // over is who is above the average, in place of the nodes' own thresholds
	Margin     float64  `json:"margin,omitempty"`     // by how many points of percent
	Hysteresis float64  `json:"hysteresis,omitempty"` // points of percent by which a target stays below its threshold
	Budget     int      `json:"budget,omitempty"`     // clients that a gateway moves in an interval
	Hold       int      `json:"hold,omitempty"`       // reports in a row that must be over
	Stay       Duration `json:"stay,omitempty"`       // how long a client is left alone after it was moved
	Stale      int      `json:"stale,omitempty"`      // intervals after which a report does not count
	Spread     float64  `json:"spread,omitempty"`     // targets are drawn by what they have free to this power
	Addresses  bool     `json:"addresses,omitempty"`  // service addresses move too, with clients that cannot be told
	unknown    unknown
}

// MarshalJSON keeps the fields that this version does not know.
func (r Redirect) MarshalJSON() ([]byte, error) {
	type plain Redirect
	return merge((*plain)(&r), r.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (r *Redirect) UnmarshalJSON(data []byte) (err error) {
	type plain Redirect
	r.unknown, err = split(data, (*plain)(r))
	return err
}

// Site is a place where clients are. Gateways that have a domain of its name, or an address in one of its networks, are there too.
type Site struct {
	Name     string         `json:"name"`
	Networks []netip.Prefix `json:"networks"`
	unknown  unknown
}

// MarshalJSON keeps the fields that this version does not know.
func (s Site) MarshalJSON() ([]byte, error) {
	type plain Site
	return merge((*plain)(&s), s.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (s *Site) UnmarshalJSON(data []byte) (err error) {
	type plain Site
	s.unknown, err = split(data, (*plain)(s))
	return err
}

// Schedule is a set of times at which the master rebalances.
type Schedule struct {
	Cron     string    `json:"cron"`               // five fields: minute, hour, day of month, month, day of week; or @hourly and the like
	Thorough bool      `json:"thorough,omitempty"` // optimise, though that moves more
	Since    time.Time `json:"since"`              // when it was set, or when it last ran
	unknown  unknown
}

// Bounds and defaults of [Settings].
const (
	DefaultHoldDown    = Duration(30 * time.Second)
	maxHoldDown        = Duration(24 * time.Hour)
	DefaultReferralTTL = Duration(5 * time.Minute)
	minReferralTTL     = Duration(time.Second)
	maxReferralTTL     = Duration(24 * time.Hour)
	maxBudget          = 1 << 17
	maxSchedules       = 16
	maxZone            = 150
	maxNetworks        = 1024 // of all sites
)

// DefaultSettings returns what holds for a cluster for which nothing was set.
func DefaultSettings() *Settings { return &Settings{HoldDown: DefaultHoldDown} }

// Validate names the field that is wrong.
func (s *Settings) Validate() error {
	switch {
	case s.HoldDown < 0 || s.HoldDown > maxHoldDown:
		return fmt.Errorf("settings: hold_down %v is not within 0 to %v", time.Duration(s.HoldDown), time.Duration(maxHoldDown))
	case s.Budget < 0 || s.Budget > maxBudget:
		return fmt.Errorf("settings: budget %d is not within 0 to %d", s.Budget, maxBudget)
	case s.ReferralTTL != 0 && (s.ReferralTTL < minReferralTTL || s.ReferralTTL > maxReferralTTL):
		return fmt.Errorf("settings: referral_ttl %v is not within %v to %v", time.Duration(s.ReferralTTL), time.Duration(minReferralTTL), time.Duration(maxReferralTTL))
	case len(s.Schedules) > maxSchedules:
		return fmt.Errorf("settings: %d schedules: at most %d", len(s.Schedules), maxSchedules)
	}
	networks := 0
	for _, site := range s.Sites {
		networks += len(site.Networks)
		if !validName(site.Name) || slices.ContainsFunc(site.Networks, func(p netip.Prefix) bool { return !p.IsValid() }) {
			return fmt.Errorf("settings: site %.80q with networks %v", site.Name, site.Networks)
		}
	}
	if networks > maxNetworks || len(s.Sites) > maxNetworks || len(s.Zone) > maxZone {
		return fmt.Errorf("settings: %d sites with %d networks: at most %d; zone of %d characters: at most %d", len(s.Sites), networks, maxNetworks, len(s.Zone), maxZone)
	}
	for i := range s.Schedules {
		if _, err := s.Schedules[i].Next(time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// Next returns the first of its times after one, in the time zone of that.
func (s *Schedule) Next(after time.Time) (time.Time, error) {
	if len(s.Cron) > 200 {
		return time.Time{}, fmt.Errorf("schedule of %d characters", len(s.Cron))
	}
	c, err := cron.ParseStandard(s.Cron)
	if err != nil {
		return time.Time{}, fmt.Errorf("schedule %.80q: %w", s.Cron, err)
	}
	if every, ok := c.(cron.ConstantDelaySchedule); ok && every.Delay < time.Minute {
		return time.Time{}, fmt.Errorf("schedule %.80q: a minute at least lies between two rebalances", s.Cron)
	}
	return c.Next(after), nil
}

// MarshalJSON keeps the fields that this version does not know.
func (s Schedule) MarshalJSON() ([]byte, error) {
	type plain Schedule
	return merge((*plain)(&s), s.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (s *Schedule) UnmarshalJSON(data []byte) (err error) {
	type plain Schedule
	s.unknown, err = split(data, (*plain)(s))
	return err
}

// Rebalance orders a rebalance: whoever writes it anew, the master computes placement.
type Rebalance struct {
	Header
	Asked    time.Time `json:"asked"`
	By       string    `json:"by"` // "operator" or the schedule
	Thorough bool      `json:"thorough,omitempty"`
}

// Validate names the field that is wrong.
func (r *Rebalance) Validate() error {
	if r.Asked.IsZero() {
		return fmt.Errorf("rebalance: no time")
	}
	return nil
}

// Settings returns the cluster's settings, or the defaults.
func (t *Table) Settings() *Settings {
	if s, _ := value[*Settings](t, Sole(KindSettings)); s != nil {
		return s
	}
	return DefaultSettings()
}
