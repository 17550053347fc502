package demand

import (
	"math"
	"time"
)

// Name is who uses what, as operators and the policy name it.
type Name struct{ Client, Volume, Protocol string }

// Count is how much was done until now.
type Count struct{ Calls, Bytes uint64 }

// bytesOfCall are as much work as a call that moves none, roughly: what a call costs beside its bytes, against copying them.
const bytesOfCall = 64 << 10

// work makes one figure of calls and bytes.
func (c Count) work() float64 { return float64(c.Calls) + float64(c.Bytes)/bytesOfCall }

// Shares says which part of a gateway's work each use causes, from counts that are looked at again and again. Recent work counts more than
// older one. The zero Shares knows nothing; it is not safe for concurrent use.
type Shares struct {
	last  map[Name]Count
	rates map[Name]float64
	at    time.Time
}

// Look takes in the counts of a moment. Work of before over fades out; uses that are not in counts are forgotten. A count that fell began anew.
func (s *Shares) Look(counts map[Name]Count, now time.Time, over time.Duration) {
	took := now.Sub(s.at)
	if s.at.IsZero() || took <= 0 {
		took = max(over, time.Second)
	}
	fresh := 1.0
	if !s.at.IsZero() && over > 0 && took < over {
		fresh = 1 - math.Exp(-2*took.Seconds()/over.Seconds())
	}
	rates := make(map[Name]float64, len(counts))
	for name, c := range counts {
		before, known := s.last[name]
		if c.Calls < before.Calls || c.Bytes < before.Bytes {
			before = Count{}
		}
		done := Count{c.Calls - before.Calls, c.Bytes - before.Bytes}.work() / took.Seconds()
		if known || s.at.IsZero() {
			rates[name] = s.rates[name]*(1-fresh) + done*fresh
		} else {
			rates[name] = done // it is new, and nothing before counts against it
		}
	}
	s.last, s.rates, s.at = counts, rates, now
}

// Of returns the part of the work that a use causes, from 0 to 1. Those of all uses add up to 1, or to 0 if nothing was done.
func (s *Shares) Of(name Name) float64 {
	total := 0.0
	for _, r := range s.rates {
		total += r
	}
	if total == 0 {
		return 0
	}
	return s.rates[name] / total
}

// Rate returns the work of all uses in a second.
func (s *Shares) Rate() (total float64) {
	for _, r := range s.rates {
		total += r
	}
	return total
}

// All returns Of for every use.
func (s *Shares) All() map[Name]float64 {
	total, out := 0.0, make(map[Name]float64, len(s.rates))
	for _, r := range s.rates {
		total += r
	}
	for name, r := range s.rates {
		if out[name] = 0; total > 0 {
			out[name] = r / total
		}
	}
	return out
}
