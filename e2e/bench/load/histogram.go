package load

import (
	"math/bits"
	"time"
)

// subBits: each octave of the histogram has 1<<subBits buckets, so a percentile is off by 3 % at most.
const subBits = 5

// Histogram counts durations. The zero value is ready.
type Histogram struct {
	counts [64 << subBits]int64
	total  int64
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

// Merge adds what another one counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
}

// Quantile returns the duration that the share q of all stays below, 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(q * float64(h.total))
	for i, n := range h.counts {
		if rank -= n; rank < 0 {
			return time.Duration(middle(i))
		}
	}
	return 0
}

func bucket(v uint64) int {
	octave := bits.Len64(v >> subBits)
	if octave == 0 {
		return int(v)
	}
	return octave<<subBits | int(v>>(octave-1)&(1<<subBits-1))
}

// middle is the centre of a bucket.
func middle(i int) uint64 {
	octave, rest := i>>subBits, uint64(i&(1<<subBits-1))
	if octave == 0 {
		return rest
	}
	width := uint64(1) << (octave - 1)
	return (1<<subBits|rest)*width + width/2
}
