//go:build linux

package cluster

import (
	"testing"

	"causeway/e2e/harness"
)

// TestUnlock: what a client holds that was at a gateway that died stays its own, until an operator says that it will not come back.
func TestUnlock(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	volume, gone := s.volumes[0], s.network.Host()
	s.move(volume, s.Members[2])
	one, two := newMount(gone, s.Members[0].Service.String(), volume, 1<<28), newMount(s.network.Host(), s.Members[1].Service.String(), volume, 2<<28)
	for _, m := range []*mount{one, two} {
		if err := m.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer m.close()
	}
	file, err := one.create(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := one.lock(t.Context(), file, 1, true); err != nil || !done {
		t.Fatal(done, err)
	}
	one.close()
	s.Members[0].KillAll()
	s.Await("it is gone", func() bool {
		v := s.View()
		return v != nil && !v.Nodes[0].Running && s.serves(volume)
	})
	if done, err := two.lock(t.Context(), file, 2, true); err != nil || done {
		t.Fatal("the lock of a client that may come back is given to another:", done, err)
	}
	s.Members[1].Command("unlock", gone.Address.String())
	if done, err := two.lock(t.Context(), file, 2, true); err != nil || !done {
		t.Error("it is still held:", done, err)
	}
}
