package shadow

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
)

// TestLossIsNoticed: gateways come and go, also all at once, so that copies are begun again and again and the owner goes on alone. When it
// dies, whoever of them still runs has what was answered, or no copy that counts by what was noted.
func TestLossIsNoticed(t *testing.T) {
	lost, kept := 0, 0
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			if dieOften(t, rand.New(rand.NewPCG(seed, 7))) {
				lost++
			} else {
				kept++
			}
		})
	}
	if lost < 10 || kept < 10 {
		t.Errorf("lost %d times, kept %d times: too little is tried", lost, kept)
	}
}

// dieOften ends with the death of the owner and of some others, and reports whether the copy went with them.
func dieOften(t *testing.T, r *rand.Rand) (lost bool) {
	names := []string{"b", "c", "d"}
	c, noted, members := newCluster(names...), Version{}, slices.Clone(names)
	o := newOwner(t, c, epoch(1), names...)
	o.cfg.Choose = func(causeway.VolumeID) []string { return members }
	o.cfg.Note = func(_ context.Context, _ causeway.VolumeID, v Version) error {
		if r.IntN(4) == 0 {
			time.Sleep(o.cfg.Within / 2)
		}
		if v.Before(noted) {
			t.Error("what was noted is taken back")
		}
		noted = v
		return nil
	}
	for i := range 30 + r.IntN(30) {
		time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
		switch r.IntN(5) {
		case 0: // members or not, some do not answer
			for _, n := range names {
				c.set(n, r.IntN(3) == 0)
			}
		case 1:
			members = slices.DeleteFunc(slices.Clone(names), func(string) bool { return r.IntN(3) == 0 })
		case 2:
			if err := o.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.set(fmt.Sprint(r.IntN(5)), []string{"", fmt.Sprint(i)}[r.IntN(2)]); err != nil {
			t.Fatal(err)
		}
	}
	var left []string
	for _, n := range names {
		c.set(n, false)
		if r.IntN(2) == 0 {
			left = append(left, n)
		}
	}
	got, err := Collect(t.Context(), c, left, alive, vol, epoch(2))
	if err != nil {
		t.Fatal(err)
	}
	if lost = got.Version.Before(noted); !lost && !maps.Equal(contents(got), o.state) {
		t.Errorf("%v counts and says %v, answered was %v", got.Version, contents(got), o.state)
	}
	return lost
}

// TestNotedLater: who cannot note goes on, and notes it when it can.
func TestNotedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, noted, down := newCluster("b"), Version{}, true
		o := newOwner(t, c, epoch(1), "b")
		o.cfg.Note = func(ctx context.Context, _ causeway.VolumeID, v Version) error {
			if down {
				<-ctx.Done()
				return ctx.Err()
			}
			noted = v
			return nil
		}
		begun := time.Now()
		if err := o.set("lock", "held"); err != nil || time.Since(begun) > time.Second {
			t.Fatal(err, time.Since(begun))
		}
		down = false
		if err := o.Refresh(t.Context()); err != nil || noted != (Version{epoch(1), 1}) || c.whole != 1 {
			t.Error(err, noted, c.whole)
		}
	})
}

// TestKeeperStartsAnew: a gateway that was started anew keeps nothing of before, and gets it again before anything changes.
func TestKeeperStartsAnew(t *testing.T) {
	c := newCluster("b")
	o := newOwner(t, c, epoch(1), "b")
	if err := o.set("lock", "held"); err != nil {
		t.Fatal(err)
	}
	c.keepers["b"] = &Keeper{}
	o.Gone("b")
	if err := o.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, c, epoch(2), "b"); len(got) != 1 {
		t.Error("it keeps", got)
	}
}
