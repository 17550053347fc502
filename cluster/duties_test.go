package cluster

import (
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/cluster/ownership"
	"causeway/cluster/record"
)

// TestSchedule: the master orders a rebalance when its time has come, once, and a thorough one is computed as such.
func TestSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config("a")
	cfg.Bootstrap = true
	base, shift, thorough := time.Now(), atomic.Int64{}, atomic.Int64{}
	cfg.Now = func() time.Time { return base.Add(time.Duration(shift.Load())) }
	cfg.Place = func(in ownership.Input) map[causeway.VolumeID]string {
		if in.Thorough {
			thorough.Add(1)
		}
		return spread(in)
	}
	a := w.start(cfg)
	settings := record.DefaultSettings()
	settings.Schedules = []record.Schedule{{Cron: "@every 1h", Thorough: true, Since: base}}
	if done, err := a.Transact(t.Context(), record.Create(record.Sole(record.KindSettings), settings, 0)); err != nil || !done {
		t.Fatal(done, err)
	}
	eventually(t, "the settings are seen", func() bool { return len(a.Table().Settings().Schedules) == 1 })
	time.Sleep(3 * dutiesEvery) // the clock stands: whatever happens now is wrong
	if n := thorough.Load(); n != 0 || a.Table().Len(record.KindRebalance) != 0 {
		t.Errorf("placement was optimised %d times before its time", n)
	}
	shift.Store(int64(time.Hour + time.Minute))
	eventually(t, "placement is optimised", func() bool { return thorough.Load() == 1 })
	order := a.Table().Get(record.Sole(record.KindRebalance))
	eventually(t, "the order is seen", func() bool { order = a.Table().Get(record.Sole(record.KindRebalance)); return order != nil })
	if by := order.Value.(*record.Rebalance).By; by != "@every 1h" {
		t.Errorf("ordered by %q", by)
	}
	eventually(t, "it is noted when it ran", func() bool { return a.Table().Settings().Schedules[0].Since.After(base) })
	time.Sleep(3 * dutiesEvery)
	if n := thorough.Load(); n != 1 {
		t.Errorf("placement was optimised %d times", n)
	}
	if err := a.Rebalance(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an operator's order is obeyed", func() bool { return thorough.Load() == 2 })
}

// TestHoldDown: a node that comes back is held down for the time that is set, then placement is computed with it as with the others. A
// new one is not.
func TestHoldDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first("a")
	settings := record.DefaultSettings()
	settings.HoldDown = record.Duration(3 * time.Second)
	if done, err := a.Transact(t.Context(), record.Create(record.Sole(record.KindSettings), settings, 0)); err != nil || !done {
		t.Fatal(done, err)
	}
	b := w.join(a, "b")
	eventually(t, "the settings and b are seen", func() bool {
		m, _ := a.Table().Member("b")
		return m != nil && a.Table().Settings().HoldDown == settings.HoldDown
	})
	if held := a.Input(false).HeldDown; len(held) > 0 {
		t.Errorf("a new node is held down: %v", held)
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := b.cfg
	cfg.Door, cfg.Join, cfg.Token = nil, "", ""
	w.start(cfg)
	eventually(t, "b is held down", func() bool { return a.Input(false).HeldDown["b"] })
	eventually(t, "b is not held down any more", func() bool { return !a.Input(false).HeldDown["b"] })
}
