//go:build linux

package aware

import (
	"errors"
	"os"
	"testing"

	"causeway"
	"causeway/client"
	"causeway/redirect"
)

// TestOwnerMoves: a volume gets another owner, by a plan and by the death of the one before, under locks of aware clients. Those who have them keep
// them, and nobody else gets one, at any gateway and at any moment.
func TestOwnerMoves(t *testing.T) {
	s := setStage(t, 3, "home")
	const ways = redirect.WayFailOver
	open := func(at ...string) *client.File {
		t.Helper()
		u := s.dial(ways, "home", at...)
		f, err := u.v.OpenFile(t.Context(), "file", os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	owner := s.owner("home")
	other := (owner + 1) % 3
	mine, ours := open(s.at(owner), s.at(other)), open(s.at(other))
	if err := mine.Lock(t.Context(), 0, 10); err != nil {
		t.Fatalf("at the owner: %v", err)
	}
	if err := ours.Lock(t.Context(), 20, 10); err != nil {
		t.Fatalf("at another gateway: %v", err)
	}
	third := open(s.at((owner + 2) % 3))
	tries, stop, done := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, off := range []int64{9, 25} {
				if err := third.TryLock(t.Context(), off, 1); !errors.Is(err, causeway.ErrLocked) {
					t.Errorf("byte %d, which is locked: %v", off, err)
				}
			}
			tries++
		}
	}()
	holds := func(when string) {
		t.Helper()
		for _, f := range []*client.File{mine, ours} {
			if _, err := f.WriteAt([]byte("x"), 0); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
	}
	planned := s.Members[other]
	planned.Command("volume", "set", "home", "--preferred", planned.Name)
	s.Await("the volume has moved as planned", func() bool { return s.owner("home") == other })
	holds("after a planned move")

	planned.Kill()
	s.Await("the volume has a new owner", func() bool { now := s.owner("home"); return now >= 0 && now != other })
	holds("after the owner's death")
	close(stop)
	<-done
	if tries == 0 {
		t.Error("nobody has tried to get the locks")
	}
	if err := errors.Join(mine.Close(), ours.Close(), third.Lock(t.Context(), 0, 0)); err != nil {
		t.Error(err)
	}
}

// owner is the gateway that administers a volume and serves it; -1: none does, or nobody says.
func (s *stage) owner(volume string) int {
	view := s.View()
	if view == nil {
		return -1
	}
	for _, v := range view.Volumes {
		for i, m := range s.Members {
			if v.Name == volume && v.Owner == m.Name && v.Serving && !v.Moving {
				return i
			}
		}
	}
	return -1
}
