package redirect

import (
	"math/bits"
	"slices"
	"time"
)

// Responses tells when the response times of a gateway leave what is normal for it. What is normal differs from method to method, and with how
// much is carried: each has times of its own. The zero Responses is ready; it is not safe for concurrent use.
type Responses struct {
	kinds map[kind]*normal
}

// kind is calls that are expected to take about the same time.
type kind struct {
	method string
	scale  int // of what is carried, each four times the one before
}

// Add notes what a call took that carried so many bytes and ended now. It reports true when the times have left their normal range; then it
// begins to learn anew.
func (r *Responses) Add(method string, size int, took time.Duration, now time.Time) bool {
	k := kind{method, bits.Len(uint(size)) / 2}
	n := r.kinds[k]
	if n == nil {
		if r.kinds == nil {
			r.kinds = map[kind]*normal{}
		}
		n = &normal{}
		r.kinds[k] = n
	}
	if n.add(took, now) {
		*r = Responses{}
		return true
	}
	return false
}

// What counts as leaving: times above twice the median and above fifteen of sixteen normal ones, so many more than those that are not, for
// longer than a machine is held up once in a while: that makes all calls under way late.
const (
	learning = 32 // times before anything is judged
	many     = 16
	lasting  = time.Second
)

// normal is the times of one kind. Quantiles, not a mean and a deviation: a single call that was held up for a second would hide slowness for
// a hundred calls.
type normal struct {
	times [64]time.Duration // normal ones, the last
	seen  int
	limit time.Duration // above it a time is slow; 0: not known yet
	slow  int           // how many more were slow than not, of late
	since time.Time     // when the first of them ended
}

// add notes a time, and reports whether the times are no longer normal.
func (n *normal) add(took time.Duration, now time.Time) bool {
	isSlow := n.limit > 0 && took > n.limit
	switch {
	case isSlow && n.slow > 0:
		n.slow = min(n.slow+1, many) // as many as there may be under way: they are forgotten as quickly
		return n.slow >= many && now.Sub(n.since) >= lasting
	case isSlow: // one by itself is a part of what is normal: without it the limit would sink and sink
		n.slow, n.since = 1, now
	default:
		n.slow = max(0, n.slow-1)
	}
	n.times[n.seen%len(n.times)] = took
	if n.seen++; n.seen >= learning && n.seen%16 == 0 {
		n.limit = limit(n.times[:min(n.seen, len(n.times))])
	}
	return false
}

// limit is the end of the normal range.
func limit(times []time.Duration) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return max(2*times[len(times)/2], times[len(times)-1-len(times)/16])
}
