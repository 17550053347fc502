//go:build linux

package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/dchest/siphash"

	"causeway/e2e/harness"
)

// TestOldCopyIsNone loses the gateway that administers a volume together with the one that keeps its second copy, while another one still
// has a copy of before: the next one to administer the volume notices, and takes nothing for held that was given back since.
func TestOldCopyIsNone(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{Flags: []string{"--log-level", "debug"}})
	for range 2 {
		token, peer := s.Token()
		s.Add("--join", peer, "--token", token)
	}
	s.Await("two may be lost", func() bool { return s.Voters() == len(s.Members) })
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	s.AwaitRest(1)
	volume := s.volumes[0]
	owner, keeper := s.apart(volume)
	s.move(volume, owner)
	via := s.Members[slices.IndexFunc(s.Members, func(m *harness.Member) bool { return m != owner && m != keeper })]
	one, two := newMount(s.network.Host(), via.Service.String(), volume, 1<<28), newMount(s.network.Host(), via.Service.String(), volume, 2<<28)
	for _, m := range []*mount{one, two} {
		if err := m.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	file, err := one.create(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	lock := func(m *mount, owner uint32, take bool) bool {
		t.Helper()
		done, err := m.lock(t.Context(), file, owner, take)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	begun := func(elsewhere bool) (n int) {
		for _, m := range s.Members {
			if (m != keeper) == elsewhere {
				n += len(owner.Said("a second copy has begun", "node="+m.Name))
			}
		}
		return n
	}
	if !lock(one, 1, true) {
		t.Fatal("no lock")
	}
	s.Await("the copy is where it shall be", func() bool { return begun(false) > 0 })
	before := begun(true)
	keeper.Kill()
	s.Await("another gateway keeps the copy", func() bool { return begun(true) > before })
	before = begun(false)
	keeper.Start()
	s.Await("the copy is back", func() bool { return begun(false) > before })
	lock(one, 1, false)
	owner.Kill()
	keeper.Kill()
	s.Await("another gateway serves", func() bool { o := s.owner(volume); return o != nil && o != owner && o != keeper && s.serves(volume) })
	if !lock(two, 2, true) {
		t.Error("a lock that was given back is held")
	}
	said := 0
	for _, m := range s.Members {
		said += len(m.Said("no gateway has the latest copy of what clients held"))
	}
	if said == 0 {
		t.Error("nobody has noticed that the copy is an old one")
	}
}

// apart chooses a gateway to administer a volume, and tells the one that keeps the second copy then: the first in an order that is the
// volume's own.
func (s *stage) apart(volume string) (owner, keeper *harness.Member) {
	s.t.Helper()
	var marker struct{ Volume string }
	data, err := os.ReadFile(filepath.Join(s.dirs[volume], ".causeway", "volume.json"))
	if err == nil {
		err = json.Unmarshal(data, &marker)
	}
	id, e := strconv.ParseUint(marker.Volume, 16, 64)
	if err != nil || e != nil {
		s.t.Fatal(err, e)
	}
	keeper = slices.MinFunc(s.Members, func(a, b *harness.Member) int {
		if siphash.Hash(id, 0, []byte(a.Name)) < siphash.Hash(id, 0, []byte(b.Name)) {
			return -1
		}
		return 1
	})
	if owner = s.Members[4]; owner == keeper {
		owner = s.Members[3]
	}
	return owner, keeper
}
