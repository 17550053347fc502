//go:build linux

package aware

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/redirect"
)

// reads has the client read a file over and over that is there already.
func (u *user) reads(name string, pause time.Duration) {
	ctx, stop := context.WithCancel(u.s.t.Context())
	u.stop = stop
	u.tasks.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(pause) {
			if _, err := u.v.ReadFile(ctx, name); err != nil && ctx.Err() == nil {
				u.failed <- err
				return
			}
			u.done.Add(1)
		}
	})
}

// TestMirror: the only gateway of a volume's domain is too busy, and that of its mirror is not. The gateway sends a client that only reads to the
// mirror, and the client goes on there without an error; one that has changed the volume stays.
func TestMirror(t *testing.T) {
	s := setStage(t, 2, nil, "home", "copy")
	for _, dir := range s.dirs {
		if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, busySize), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	order := func(words ...string) { s.Members[0].Command(words...) }
	order("node", "set", "g1", "--domains", "east")
	order("node", "set", "g2", "--domains", "west")
	order("volume", "set", "home", "--domain", "east")
	order("volume", "set", "copy", "--domain", "west", "--read-only", "--mirror-of", "home")
	u := s.dial(redirect.AllWays&^(redirect.WayTable|redirect.WayPoll|redirect.WayOwn), "home", s.at(0))
	u.reads("file", busyPause)
	writer := s.crowd(0)
	u.well()
	if u.v.Mirror() != nil {
		t.Fatal("it begins at the mirror")
	}
	order("node", "set", "g1", "--threshold", "10")
	s.Await("the client reads from the mirror", func() bool {
		u.well()
		m := u.v.Mirror()
		return m != nil && m.Name() == "copy"
	})
	u.well()
	if here := u.here("copy"); here != s.at(1) {
		t.Errorf("it reads the mirror at %s", here)
	}
	s.Await("the mirror's gateway counts it", func() bool {
		lines := strings.Split(s.Members[0].Command("clients"), "\n")
		return slices.ContainsFunc(lines, func(line string) bool {
			words := strings.Fields(line)
			return len(words) > 4 && words[0] == "g2" && words[2] == "aware" && words[4] == "copy"
		})
	})
	writer.well()
	if writer.v.Mirror() != nil || writer.here("home") != s.at(0) {
		t.Error("a client that has changed the volume reads a mirror")
	}
	if err := u.v.WriteFile(s.t.Context(), "new", []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := u.v.ReadFile(s.t.Context(), "new"); err != nil || string(got) != "text" || u.v.Mirror() != nil {
		t.Errorf("what it has written reads %q, %v", got, err)
	}
}
