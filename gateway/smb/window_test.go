package smb

import "testing"

func TestWindow(t *testing.T) {
	w := newWindow(8)
	if w.take(1, 1) {
		t.Error("an id that was not granted")
	}
	if !w.take(0, 1) || w.take(0, 1) {
		t.Error("the first id is good once")
	}
	if got := w.grant(100); got != 8 {
		t.Errorf("granted %d of 8", got)
	}
	if !w.take(3, 2) || w.take(4, 1) || w.take(2, 2) {
		t.Error("ids that were used, or a span over them")
	}
	if got := w.grant(4); got != 0 { // 1 and 2 were not used: the window is as wide as it may be
		t.Errorf("granted %d beyond the bound", got)
	}
	if !w.take(1, 2) {
		t.Error("ids that were left out")
	}
	if got := w.grant(100); got != 4 {
		t.Errorf("granted %d, want 4", got)
	}
	for _, id := range []uint64{13, 1 << 63, 1<<64 - 1} {
		if w.take(id, 1) || w.take(id, 2) {
			t.Error("beyond the window:", id)
		}
	}
	// All around the ring, several times.
	for id := uint64(5); id < 100; id++ {
		if !w.take(id, 1) {
			t.Fatal("refused", id)
		}
		w.grant(1)
	}
}
