package buf

import (
	"sync"
	"testing"
)

func TestClasses(t *testing.T) {
	var p Pool
	for _, n := range []int{0, 1, 1 << 10, 1<<10 + 1, 64 << 10, 64<<10 + Room, 1 << 20, 1<<20 + Room, MaxPooled, MaxPooled + 1, 8 << 20} {
		b := p.Get(n)
		if len(b.B) < n || len(b.B) != Size(n) || p.Used() != int64(len(b.B)) || p.Lent() != 1 {
			t.Errorf("%d: got %d, counted %d", n, len(b.B), p.Used())
		}
		if n > 4096 && len(b.B) > 5*n {
			t.Errorf("%d: wastes %d", n, len(b.B))
		}
		b.Release()
		if p.Used() != 0 || p.Lent() != 0 {
			t.Errorf("%d: %d bytes left", n, p.Used())
		}
	}
	(*Buffer)(nil).Release()
}

func TestReleaseTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nobody noticed")
		}
	}()
	var p Pool
	b := p.Get(1)
	b.Release()
	b.Release()
}

// TestNotShared: nobody else writes into a lent buffer.
func TestNotShared(t *testing.T) {
	var p Pool
	var all sync.WaitGroup
	for who := range byte(8) {
		all.Go(func() {
			for i := range 2000 {
				b := p.Get(1 + i*37%70000)
				b.B[0], b.B[len(b.B)-1] = who, who
				if b.B[0] != who || b.B[len(b.B)-1] != who {
					t.Error("shared")
				}
				b.Release()
			}
		})
	}
	all.Wait()
	if p.Used() != 0 || p.Lent() != 0 {
		t.Error(p.Used(), p.Lent())
	}
}

func BenchmarkGetRelease(b *testing.B) {
	var p Pool
	b.ReportAllocs()
	for b.Loop() {
		p.Get(64 << 10).Release()
	}
}
