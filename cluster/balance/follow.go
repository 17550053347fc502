package balance

import (
	"maps"
	"math"
	"slices"
	"time"
)

// FollowConfig says how slowly weights follow what is measured. The zero value means the defaults, for reports once in a minute.
type FollowConfig struct {
	Over time.Duration // time constant of the smoothing; default 10 minutes
	Band float64       // a weight stays while what is measured is within this factor of it; above 1, default 1.5
	Hold time.Duration // how long it must be outside before the weight changes; default 5 minutes
	Max  uint64        // the largest weight; default MaxVolumeWeight
}

// Validate sets defaults and names the field at fault.
func (c *FollowConfig) Validate() error {
	if c.Over < 0 || c.Hold < 0 || c.Band < 0 || c.Band > 0 && c.Band <= 1 {
		return invalid("FollowConfig: Over %v, Hold %v, Band %v", c.Over, c.Hold, c.Band)
	}
	if c.Over == 0 {
		c.Over = 10 * time.Minute
	}
	if c.Hold == 0 {
		c.Hold = 5 * time.Minute
	}
	if c.Band == 0 {
		c.Band = 1.5
	}
	if c.Max == 0 {
		c.Max = MaxVolumeWeight
	}
	return nil
}

// Follower makes weights of measurements. A weight that changes moves volumes, so it must not follow noise: what is measured is smoothed, and
// counts only when it has been outside of a band around the weight for a while. Whoever becomes master begins with an empty Follower, which
// changes nothing before it has seen enough. It is not safe for concurrent use.
type Follower struct {
	cfg    FollowConfig
	at     time.Time
	smooth map[string]float64
	out    map[string]time.Time // since when each is outside of its band
}

// NewFollower returns a Follower that has seen nothing.
func NewFollower(cfg FollowConfig) (*Follower, error) {
	err := cfg.Validate()
	return &Follower{cfg: cfg, smooth: map[string]float64{}, out: map[string]time.Time{}}, err
}

// smallest is the least difference that counts: between weights of 1 and 2 there is no band.
const smallest = 1

// Look takes in what is measured now, in the unit of weights, and the weights that hold, and returns those that shall change. What is not in weights
// is forgotten.
func (f *Follower) Look(measured map[string]float64, weights map[string]uint64, now time.Time) map[string]uint64 {
	fresh := 1.0
	if !f.at.IsZero() {
		fresh = 1 - math.Exp(-now.Sub(f.at).Seconds()/f.cfg.Over.Seconds())
	}
	f.at = now
	maps.DeleteFunc(f.smooth, func(name string, _ float64) bool { _, ok := weights[name]; return !ok })
	maps.DeleteFunc(f.out, func(name string, _ time.Time) bool { _, ok := weights[name]; return !ok })
	changes := map[string]uint64{}
	for name, weight := range weights {
		before, known := f.smooth[name]
		value := measured[name]
		if known {
			value = before + (value-before)*fresh
		}
		f.smooth[name] = value
		if f.within(value, weight) {
			delete(f.out, name)
			continue
		}
		since, waits := f.out[name]
		if !waits {
			f.out[name] = now
		} else if now.Sub(since) >= f.cfg.Hold {
			changes[name] = f.weight(value)
			delete(f.out, name)
		}
	}
	return changes
}

func (f *Follower) within(value float64, weight uint64) bool {
	next, w := float64(f.weight(value)), float64(weight)
	return math.Abs(next-w) <= smallest || next <= w*f.cfg.Band && next >= w/f.cfg.Band
}

// weight is at least 1: a volume that nobody uses has to be somewhere.
func (f *Follower) weight(value float64) uint64 {
	return uint64(min(max(math.Round(value), 1), float64(f.cfg.Max)))
}

// meanWeight is the weight of a node of average capacity whose weight follows its capacity.
const meanWeight = 10

// Relative makes comparable figures of capacities: those of average nodes become 10.
func Relative(capacities map[string]float64) map[string]float64 {
	sum, out := 0.0, map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(capacities)) {
		sum += capacities[name]
	}
	for name, c := range capacities {
		if sum > 0 {
			out[name] = meanWeight * c * float64(len(capacities)) / sum
		}
	}
	return out
}
