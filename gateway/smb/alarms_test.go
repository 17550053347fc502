package smb

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAlarms holds that alarms are done at their times, whatever order they were set in, and those that were called off never.
func TestAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s alarms
		began := time.Now()
		var times [3]atomic.Int64
		set := func(i int, d time.Duration) *alarm {
			return s.after(d, func() { times[i].Store(int64(time.Since(began))) })
		}
		set(0, 5*time.Millisecond)
		off := set(1, 4*time.Millisecond)
		set(2, 2*time.Millisecond)
		time.Sleep(3 * time.Millisecond)
		off.stop()
		off.stop()
		time.Sleep(time.Second)
		for i, want := range []time.Duration{5 * time.Millisecond, 0, 2 * time.Millisecond} {
			if got := time.Duration(times[i].Load()); got != want {
				t.Errorf("alarm %d was done at %v, want %v", i, got, want)
			}
		}
		s.mu.Lock()
		left := s.first != nil || s.armed
		s.mu.Unlock()
		if left {
			t.Error("something is left")
		}
		var again atomic.Bool
		s.after(time.Millisecond, func() { again.Store(true) })
		time.Sleep(2 * time.Millisecond)
		if !again.Load() {
			t.Error("an alarm after all others is not done")
		}
	})
}
