//go:build linux

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causeway/e2e/harness"
)

// TestFullDisk fills the file system under the state of one gateway, its server of the database with it, while clients work and the
// operator changes settings: the others serve, and when there is room again, so does this one.
func TestFullDisk(t *testing.T) {
	small := t.TempDir()
	if err := unix.Mount("state", small, "tmpfs", 0, "size=160m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
	s := setStage(t, 3, harness.ClusterConfig{State: func(i int) string {
		if i == 1 {
			return small
		}
		dir, err := os.MkdirTemp("", "cw-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}})
	u := s.work(3)
	for round := range choose(1, 10) {
		ballast := filepath.Join(small, "ballast")
		fill(t, ballast)
		s.change(round, u)
		t.Logf("round %d: with a full disk the gateway runs: %v", round, s.Members[1].Running())
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if !s.Members[1].Running() {
			s.Members[1].Kill()
			s.Members[1].Start()
		}
		u.progress()
		s.AwaitRest(len(s.volumes))
	}
	u.end()
}

// fill writes until there is no room.
func fill(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// change has the operator change settings for some time, so that the database writes; clients go on meanwhile.
func (s *stage) change(round int, u *users) {
	for until, n := time.Now().Add(6*time.Second), 0; time.Now().Before(until); n++ {
		err := s.Members[0].Order("/cluster/volume/set", map[string]any{"name": s.volumes[n%3], "weight": 1 + n%2, "group": fmt.Sprintf("g%d-%d", round, n)}, nil)
		if err != nil {
			s.t.Logf("a change is refused: %v", err)
			time.Sleep(100 * time.Millisecond)
		}
	}
	u.progress()
}
