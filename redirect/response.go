package redirect

import (
	"math"
	"time"
)

// Responses tells when the response times of a gateway leave what is normal for it. The zero Responses is ready; it is not safe for
// concurrent use.
type Responses struct {
	mean, deviation float64 // of normal times, in seconds
	seen            int
	slow            int // in a row
}

// What counts as leaving: so many in a row, each so many deviations above the mean and at least twice it.
const (
	learning   = 32 // times before anything is judged
	inARow     = 16
	deviations = 4
	smoothing  = 1.0 / 32
)

// Add notes a time. It reports true when the times have left their normal range; then it begins to learn anew.
func (r *Responses) Add(t time.Duration) bool {
	x := t.Seconds()
	if r.seen >= learning && x > 2*r.mean && x > r.mean+deviations*r.deviation {
		if r.slow++; r.slow >= inARow {
			*r = Responses{}
			return true
		}
		return false
	}
	r.slow = 0
	if r.seen++; r.seen == 1 {
		r.mean = x
		return false
	}
	share := max(smoothing, 1/float64(r.seen))
	r.deviation += share * (math.Abs(x-r.mean) - r.deviation)
	r.mean += share * (x - r.mean)
	return false
}
