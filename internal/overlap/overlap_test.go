package overlap

import (
	"sync"
	"testing"
)

func TestAlone(t *testing.T) {
	var table Table
	a := table.Begin(1)
	if !a.End() {
		t.Error("a single change was not alone")
	}
	a, b := table.Begin(1), table.Begin(2)
	if !a.End() || !b.End() {
		t.Error("changes of different things were not alone")
	}
}

func TestOverlap(t *testing.T) {
	var table Table
	a := table.Begin(7)
	b := table.Begin(7)
	if b.End() {
		t.Error("inner change was alone")
	}
	if a.End() {
		t.Error("outer change was alone")
	}
	if c := table.Begin(7); !c.End() {
		t.Error("a later change was not alone")
	}
}

// TestExclusion: whoever is told that it was alone must really have been: a counter that only lone changes may find unmoved.
func TestExclusion(t *testing.T) {
	var table Table
	var mu sync.Mutex
	running, starts := 0, 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20000 {
				c := table.Begin(3)
				mu.Lock()
				running++
				starts++
				met, at := running > 1, starts
				mu.Unlock()
				mu.Lock()
				running--
				met = met || starts != at
				mu.Unlock()
				if alone := c.End(); alone && met {
					t.Error("told alone, but another change ran")
					return
				}
			}
		})
	}
	wg.Wait()
	for i := range table.cells {
		if uint32(table.cells[i].Load()) != 0 {
			t.Fatal("a change is still counted as running")
		}
	}
}

func BenchmarkChange(b *testing.B) {
	var table Table
	for b.Loop() {
		table.Begin(5).End()
	}
}
