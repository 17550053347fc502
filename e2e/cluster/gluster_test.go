//go:build linux

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// setGlusterStage starts three gateways that share a GlusterFS volume: each has its own mount of it, at the same place.
func setGlusterStage(t *testing.T, volumes int, flags ...string) (s *stage, mounts []*harness.GlusterMount) {
	t.Helper()
	t.Parallel()
	s = &stage{t: t, network: harness.NewNetwork(t), dirs: make(map[string]string)}
	shared := harness.NewGluster(t, s.network, "--attribute-timeout=0", "--entry-timeout=0")
	at := filepath.Join(t.TempDir(), "shared")
	s.Cluster = harness.NewCluster(t, s.network, 3, harness.ClusterConfig{Flags: flags, Host: func(_ int, h *harness.Host) []string {
		mounts = append(mounts, shared.Mount(h, at))
		return nil
	}})
	for i := range volumes {
		name := fmt.Sprint("v", i)
		s.Members[0].Host.MustRun("mkdir", filepath.Join(at, name))
		s.CreateVolume(name, filepath.Join(at, name))
		s.volumes, s.dirs[name] = append(s.volumes, name), filepath.Join(shared.Brick, name)
	}
	s.AwaitRest(volumes)
	return s, mounts
}

// TestGlusterFS serves a file system of FUSE mounts, where there are no file handles of the kernel's: everything that one gateway does is
// seen at once through the others, under the same handles, and volumes move and gateways die without a client's noticing.
func TestGlusterFS(t *testing.T) {
	s, _ := setGlusterStage(t, choose(2, 5))
	for _, volume := range s.volumes {
		s.seenAtOnce(volume, choose(12, 50))
	}
	u := s.work(choose(4, 10))
	for round := range choose(1, 10) {
		s.moveAll(u, round)
		s.killOwner(u, s.volumes[round%len(s.volumes)])
	}
	u.end()
}

// mounts returns a mount of a volume through every gateway, for one client.
func (s *stage) mounts(volume string, xid uint32) []*mount {
	s.t.Helper()
	host := s.network.Host()
	var all []*mount
	for i, m := range s.Members {
		one := newMount(host, m.Service.String(), volume, xid+uint32(i)<<20)
		s.t.Cleanup(one.close)
		if err := one.begin(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// seenAtOnce does things through one gateway and looks at them through the others.
func (s *stage) seenAtOnce(volume string, rounds int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	all := s.mounts(volume, 77<<24)
	for i := range rounds {
		if err := storm(ctx, i, all[i%len(all)], all[(i+1)%len(all)], all[(i+2)%len(all)]); err != nil {
			s.t.Fatalf("round %d on %s: %v", i, volume, err)
		}
	}
}

// storm makes a file through one gateway, and renames, writes, replaces and removes it through all three.
func storm(ctx context.Context, round int, a, b, c *mount) error {
	name, moved := fmt.Sprint("storm-", round), fmt.Sprint("moved-", round)
	file, err := a.create(ctx, name)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	same := func(m *mount, name string) error {
		found, err := m.lookup(ctx, name)
		if err == nil && !bytes.Equal(found, file) {
			err = fmt.Errorf("handle %x, not %x", found, file)
		}
		if err != nil {
			return fmt.Errorf("lookup of %s through %s: %w", name, m.at, err)
		}
		return nil
	}
	holds := func(m *mount, want []byte) error {
		got, err := m.read(ctx, file, 0, len(want))
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("%q…, not %q…", got[:8], want[:8])
		}
		if err != nil {
			return fmt.Errorf("read through %s: %w", m.at, err)
		}
		return nil
	}
	text := func(what byte) []byte { return bytes.Repeat([]byte{what, byte(round)}, 3000) }
	put := func(m *mount, what byte) error {
		if _, err := m.write(ctx, file, 0, text(what), nfs3.FileSync); err != nil {
			return fmt.Errorf("write through %s: %w", m.at, err)
		}
		return nil
	}
	if err := errors.Join(same(b, name), same(c, name), put(a, 'a'), holds(b, text('a')), put(b, 'b'), holds(c, text('b')), holds(a, text('b'))); err != nil {
		return err
	}
	if err := b.rename(ctx, name, moved); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	if _, err := c.lookup(ctx, name); !errors.Is(err, nfs3.NoEnt) {
		return fmt.Errorf("the old name is seen: %v", err)
	}
	if err := errors.Join(same(a, moved), same(c, moved), put(c, 'c'), holds(a, text('c')), holds(b, text('c'))); err != nil {
		return err
	}
	if round%2 == 0 {
		return nil
	}
	if err := c.remove(ctx, moved); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if _, err := a.lookup(ctx, moved); !errors.Is(err, nfs3.NoEnt) {
		return fmt.Errorf("a removed name is seen: %v", err)
	}
	if err := b.getattr(ctx, file); !errors.Is(err, nfs3.Status(70)) {
		return fmt.Errorf("a removed file: %v", err)
	}
	return nil
}

// moveAll empties a gateway and gives it its volumes back, under the hands of clients.
func (s *stage) moveAll(u *users, round int) {
	s.t.Helper()
	m := s.Members[round%len(s.Members)]
	m.Command("node", "drain", m.Name)
	u.progress()
	m.Command("node", "set", m.Name, "--active")
	u.progress()
	m.Command("rebalance")
	s.AwaitRest(len(s.volumes))
	u.progress()
}

// killOwner kills the gateway that administers a volume, and starts it again.
func (s *stage) killOwner(u *users, volume string) {
	s.t.Helper()
	victim := s.owner(volume)
	victim.KillAll()
	s.Await("another gateway serves the volume", func() bool {
		v := s.View()
		if v == nil {
			return false
		}
		for _, one := range v.Volumes {
			if one.Name == volume {
				return one.Serving && one.Owner != victim.Name
			}
		}
		return false
	})
	u.progress()
	victim.Start()
	s.AwaitRest(len(s.volumes))
	u.progress()
}
