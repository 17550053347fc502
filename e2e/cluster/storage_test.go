//go:build linux

package cluster

import (
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness"
)

// TestStorageLost takes the storage from one gateway while its clients, and those of the others, write, read and rename: other gateways move
// its bytes, a volume that it administered moves away, and when the storage has been mounted again all is as before.
func TestStorageLost(t *testing.T) {
	s, mounts := setGlusterStage(t, 1)
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	volume, victim := s.volumes[0], s.Members[1]
	s.move(volume, s.Members[0])
	workers := s.workers(volume, s.Members...)
	for _, c := range []struct {
		name  string
		owner *harness.Member
	}{{"one that moves bytes", s.Members[0]}, {"the one that administers it", victim}} {
		s.move(volume, c.owner)
		s.worked(workers)
		mounts[1].Kill()
		s.Await(c.name+" has lost it", func() bool { return s.refused(volume, victim) })
		s.worked(workers)
		if s.owner(volume) == victim {
			t.Errorf("%s: it is administered there still", c.name)
		}
		mounts[1].Again()
		s.Await("it is back at "+c.name, func() bool { return s.View() != nil && !s.refused(volume, victim) })
		s.worked(workers)
	}
}

// TestStorageHangs has the storage of one gateway stand still, with calls in it: new ones go by other gateways after a while, and those in it are
// answered when it goes on. A volume that it administers stays with it: what hangs may still be done.
func TestStorageHangs(t *testing.T) {
	s, mounts := setGlusterStage(t, 1, "--storage-timeout", "4s")
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	volume, victim := s.volumes[0], s.Members[1]
	s.move(volume, s.Members[0])
	workers := s.workers(volume, s.Members...)
	mounts[1].Signal(syscall.SIGSTOP)
	s.Await("it has noticed", func() bool { return s.refused(volume, victim) })
	others := s.workers(volume, s.Members...)
	mounts[1].Signal(syscall.SIGCONT)
	s.Await("it is back", func() bool { return s.View() != nil && !s.refused(volume, victim) })
	workers = append(workers, others...)
	s.worked(workers)

	s.move(volume, victim)
	s.worked(workers)
	mounts[1].Signal(syscall.SIGSTOP)
	s.Await("it has noticed as the owner", func() bool { return len(victim.Said("it stays with this gateway")) > 0 })
	time.Sleep(3 * time.Second) // somebody might move it now
	mounts[1].Signal(syscall.SIGCONT)
	s.worked(workers)
	if owner := s.owner(volume); owner != victim || len(victim.Said(`"joined the cluster"`)) != 1 {
		t.Errorf("a volume in which calls hang was moved: to %v", owner)
	}
}

// refused reports whether a gateway has said that it does not reach a volume's storage.
func (s *stage) refused(volume string, m *harness.Member) bool {
	view := s.View()
	if view == nil {
		return false
	}
	for _, v := range view.Volumes {
		if v.Name == volume {
			return v.Refused[m.Name] != ""
		}
	}
	return false
}
