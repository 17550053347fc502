package member

import (
	"slices"
	"strings"
	"time"

	"causeway/cluster/record"
	"causeway/redirect"
)

// Redirects are the settings of how clients are sent elsewhere, with the defaults of what is not set.
type Redirects struct {
	Ways       []string `json:"ways"` // that are used
	Average    bool     `json:"average"`
	Margin     float64  `json:"margin"`
	Hysteresis float64  `json:"hysteresis"`
	Budget     int      `json:"budget"`
	Hold       int      `json:"hold"`
	Stay       float64  `json:"stay"` // seconds
	Stale      int      `json:"stale"`
	Spread     float64  `json:"spread"`
	Addresses  bool     `json:"addresses"` // service addresses move too
}

// defaultSpread is how targets are drawn if nothing is set: gateways decide from the same records, and must not all choose the same.
const defaultSpread = 2

// RedirectConfig is what the policy is told of the settings.
func RedirectConfig(s *record.Settings) (redirect.Config, error) {
	c := redirect.Config{Spread: defaultSpread}
	if r := s.Redirect; r != nil {
		off, err := redirect.ParseWays(r.Off)
		if err != nil {
			return c, err
		}
		c = redirect.Config{Ways: redirect.AllWays &^ off, NoWays: off == redirect.AllWays, Average: r.Average, Margin: r.Margin, Hysteresis: r.Hysteresis,
			Budget: r.Budget, Hold: r.Hold, Stay: time.Duration(r.Stay), Stale: r.Stale, Spread: r.Spread, Addresses: r.Addresses}
		if c.Spread == 0 {
			c.Spread = defaultSpread
		}
	}
	return c, c.Validate()
}

func redirects(s *record.Settings) Redirects {
	c, err := RedirectConfig(s)
	if err != nil { // a newer version knows ways that this one does not
		c, _ = RedirectConfig(record.DefaultSettings())
	}
	names := []string{}
	if c.Ways != 0 {
		names = strings.Split(c.Ways.String(), ",")
	}
	return Redirects{Ways: names, Average: c.Average, Margin: c.Margin, Hysteresis: c.Hysteresis, Budget: c.Budget, Hold: c.Hold,
		Stay: c.Stay.Seconds(), Stale: c.Stale, Spread: c.Spread, Addresses: c.Addresses}
}

// RedirectSettings change what they do not leave out. Zeros set defaults.
type RedirectSettings struct {
	Ways       *[]string      `json:"ways,omitempty"` // all that are used
	Average    *bool          `json:"average,omitempty"`
	Margin     *float64       `json:"margin,omitempty"`
	Hysteresis *float64       `json:"hysteresis,omitempty"`
	Budget     *int           `json:"budget,omitempty"`
	Hold       *int           `json:"hold,omitempty"`
	Stay       *time.Duration `json:"stay,omitempty"`
	Stale      *int           `json:"stale,omitempty"`
	Spread     *float64       `json:"spread,omitempty"`
	Addresses  *bool          `json:"addresses,omitempty"`
}

// apply changes the settings, if the policy takes them.
func (o *RedirectSettings) apply(s *record.Settings) error {
	if o == nil {
		return nil
	}
	next := record.Redirect{}
	if s.Redirect != nil {
		next = *s.Redirect
	}
	if o.Ways != nil {
		on, err := redirect.ParseWays(*o.Ways)
		if err != nil {
			return err
		}
		next.Off = nil
		if off := redirect.AllWays &^ on; off != 0 {
			next.Off = slices.Clone(strings.Split(off.String(), ","))
		}
	}
	put(&next.Average, o.Average)
	put(&next.Margin, o.Margin)
	put(&next.Hysteresis, o.Hysteresis)
	put(&next.Budget, o.Budget)
	put(&next.Hold, o.Hold)
	put(&next.Stale, o.Stale)
	put(&next.Spread, o.Spread)
	put(&next.Addresses, o.Addresses)
	if o.Stay != nil {
		next.Stay = record.Duration(*o.Stay)
	}
	s.Redirect = &next
	_, err := RedirectConfig(s)
	return err
}
