//go:build linux

package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// TestReach has a client of a gateway that has no path to the storage: bytes are moved by a gateway that has one, and go on when that one
// dies and when the storage comes back. The gateway itself touches nothing of what it finds in the storage's place.
func TestReach(t *testing.T) {
	t.Parallel()
	network := harness.NewNetwork(t)
	c := harness.NewCluster(t, network, 3, harness.ClusterConfig{})
	root := t.TempDir()
	shared, other := filepath.Join(root, "shared"), filepath.Join(root, "other")
	s := &stage{t: t, network: network, Cluster: c, root: shared, dirs: make(map[string]string)}
	for _, dir := range []string{shared, other} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	c.Members[0].Command("cluster", "set", "--hold-down", "0s")
	s.volume("plain")
	s.volume("exclusive", "--exclusive")
	for _, v := range s.volumes {
		if err := os.Mkdir(filepath.Join(other, v), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, other)
	token, peer := c.Token()
	far := c.AddElsewhere(other, shared, "--join", peer, "--token", token)
	c.Await("its address is there", func() bool { v := c.View(); return v != nil && len(v.Addresses) == 4 })
	for i, volume := range s.volumes {
		s.move(volume, c.Members[i])
		m := newMount(network.Host(), far.Service.String(), volume, uint32(i+1)<<28)
		near := newMount(network.Host(), c.Members[2].Service.String(), volume, uint32(i+9)<<28)
		s.through(m, near, volume, "at first")
		begun := time.Now()
		c.Members[i].Kill()
		s.through(m, near, volume, "the administrator has died")
		t.Logf("%s: through a gateway without reach again %v after the death of the one that moved its bytes", volume, time.Since(begun).Round(time.Millisecond))
		c.Members[i].Start()
		s.AwaitRest(len(s.volumes))
		s.through(m, near, volume, "it is back")
		m.close()
		near.close()
	}
	if after := listing(t, other); after != before {
		t.Errorf("what lies in the storage's place was changed; before: %s\nafter: %s", before, after)
	}
}

// through writes a file at one mount and reads it at the other, both ways.
func (s *stage) through(far, near *mount, volume, name string) {
	s.t.Helper()
	ctx := s.t.Context()
	const size = 100_000 // more than is sent in one piece
	fail := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatalf("%s, %s: %v", volume, name, err)
		}
	}
	for _, m := range []*mount{far, near} {
		if m.root == nil {
			fail(m.begin(ctx))
		}
	}
	for i, pair := range [][2]*mount{{far, near}, {near, far}} {
		label := name + []string{" far", " near"}[i]
		file, err := pair[0].create(ctx, label)
		fail(err)
		data := bytes.Repeat([]byte(label), size/len(label)+1)[:size]
		verifier, err := pair[0].write(ctx, file, 0, data, nfs3.Unstable)
		fail(err)
		committed, err := pair[0].commit(ctx, file)
		fail(err)
		if committed != verifier {
			_, err = pair[0].write(ctx, file, 0, data, nfs3.FileSync)
			fail(err)
		}
		got, err := pair[1].read(ctx, file, 0, size)
		fail(err)
		if !bytes.Equal(got, data) {
			s.t.Fatalf("%s, %s: what was written through one gateway differs at the other", volume, label)
		}
		if on, err := os.ReadFile(filepath.Join(s.dirs[volume], label)); err != nil || !bytes.Equal(on, data) {
			s.t.Fatalf("%s, %s: the storage has %d bytes, %v", volume, label, len(on), err)
		}
	}
}
