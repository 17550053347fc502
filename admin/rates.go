package admin

import (
	"sync"
	"time"
)

// rateWindow is how many samples, one a second, rates are means over.
const rateWindow = 5

// rates keeps the last samples of the totals.
type rates struct {
	mu      sync.Mutex
	samples [rateWindow]sample
	n       int // samples ever taken
}

type sample struct {
	at    time.Time
	total total
}

func (r *rates) add(at time.Time, t total) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples[r.n%rateWindow] = sample{at, t}
	r.n++
}

// now returns the means since the oldest sample.
func (r *rates) now(at time.Time, t total) Rates {
	r.mu.Lock()
	oldest := r.samples[0]
	if r.n >= rateWindow {
		oldest = r.samples[r.n%rateWindow]
	}
	r.mu.Unlock()
	seconds := at.Sub(oldest.at).Seconds()
	if seconds <= 0 {
		return Rates{}
	}
	per := func(now, then uint64) float64 { return float64(now-then) / seconds }
	return Rates{seconds, per(t.calls, oldest.total.calls), per(t.in, oldest.total.in), per(t.out, oldest.total.out)}
}
