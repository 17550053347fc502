package boottime

import (
	"testing"
	"time"
)

func TestNeverBackwards(t *testing.T) {
	last := Now()
	for range 1000 {
		now := Now()
		if now < last {
			t.Fatal(last, now)
		}
		last = now
	}
}

func TestRecentIsNow(t *testing.T) {
	for range 1000 {
		before := Now()
		recent := Recent()
		if recent < before-time.Millisecond || recent > Now()+time.Millisecond {
			t.Fatal(before, recent, Now())
		}
	}
}

func BenchmarkRecent(b *testing.B) {
	for b.Loop() {
		Recent()
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
