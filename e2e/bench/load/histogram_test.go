package load

import (
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	var h Histogram
	for i := 1; i <= 100000; i++ {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 0.001: 100 * time.Microsecond} {
		got := h.Quantile(q)
		if off := float64(got-want) / float64(want); off > 0.035 || off < -0.035 {
			t.Errorf("quantile %v is %v, not %v", q, got, want)
		}
	}
	if new(Histogram).Quantile(0.5) != 0 {
		t.Error("a quantile of nothing is not 0")
	}
}

func TestBucketsAreOrderedAndTight(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 31, 32, 33, 63, 64, 66, 1000, 1 << 20, 1<<20 + 1<<15, 1 << 40, 1 << 62} {
		i := bucket(v)
		if i <= last {
			t.Errorf("bucket of %d is %d, not over %d", v, i, last)
		}
		last = i
		if m := float64(middle(i)); m < float64(v)*0.96 || m > float64(v)*1.04 {
			t.Errorf("the middle of the bucket of %d is %v", v, m)
		}
	}
}
