package peer

import (
	"slices"
	"testing"
	"time"

	"causeway/gateway/gatewaytest"
)

// BenchmarkGetAttr measures a question to the owner with one outstanding.
func BenchmarkGetAttr(b *testing.B) {
	s := newSite(b, options{direct: true})
	h := s.root(s.g[1])
	c := gatewaytest.Root()
	for i, where := range []string{"here", "away"} {
		b.Run(where, func(b *testing.B) {
			b.ReportAllocs()
			times := make([]time.Duration, 0, 1<<16)
			for b.Loop() {
				begun := time.Now()
				if _, err := s.g[i].router.GetAttr(b.Context(), c, h); err != nil {
					b.Fatal(err)
				}
				if len(times) < cap(times) {
					times = append(times, time.Since(begun))
				}
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "ns-p50")
			b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds()), "ns-p99")
		})
	}
}

// TestNoHop: what is answered here costs no allocation.
func TestNoHop(t *testing.T) {
	s := newSite(t, options{near: true})
	h, c := s.root(s.g[1]), gatewaytest.Root()
	for _, g := range s.g {
		if n := testing.AllocsPerRun(100, func() { g.router.GetAttr(t.Context(), c, h) }); n != 0 {
			t.Errorf("%s: %v allocations", g.name, n)
		}
	}
}

// BenchmarkMany measures questions of many callers at once.
func BenchmarkMany(b *testing.B) {
	s := newSite(b, options{direct: true})
	h := s.root(s.g[1])
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(p *testing.PB) {
		c := gatewaytest.Root()
		for p.Next() {
			if _, err := s.g[1].router.GetAttr(b.Context(), c, h); err != nil {
				b.Fatal(err)
			}
		}
	})
	st := s.g[1].peers.Stats()
	b.ReportMetric(float64(st.Frames)/float64(st.Packets), "frames/packet")
}

// BenchmarkCreate measures changes of names.
func BenchmarkCreate(b *testing.B) {
	s := newSite(b, options{direct: true})
	for i, where := range []string{"here", "away"} {
		b.Run(where, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h := s.root(s.g[i])
				if _, err := s.g[i].create("f"); err != nil {
					b.Fatal(err)
				}
				if _, err := s.g[i].router.Remove(b.Context(), gatewaytest.Root(), h, "f", 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
