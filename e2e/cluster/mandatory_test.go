//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
	"causeway/e2e/posix/locks"
)

const acces = nfs3.Status(13)

// TestMandatory has an SMB client lock a range through one gateway: reads and writes of NFS clients of it are refused at every gateway,
// also where the file was in use before, as long as the volume's locks are mandatory; the setting is changed while the lock is held.
func TestMandatory(t *testing.T) {
	harness.RequireProgram(t, "mount.cifs", "cifs-utils")
	s := setStage(t, 1, harness.ClusterConfig{Flags: []string{"--smb", "445"}})
	volume, ctx := s.volumes[0], t.Context()
	s.move(volume, s.Members[2])
	add := exec.Command(harness.Build(t, "cmd/causeway"), "user", "add", "ann", "--uid", "0", "--gid", "0", "--state-dir", s.Members[0].State)
	add.Stdin = strings.NewReader("secret\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	guest := s.network.Boot(harness.GuestConfig{Name: "alpha"})
	// Without referrals: they name the gateway that has least to do, and it must not be the one that dies.
	guest.Sh("/", fmt.Sprintf("mkdir -p /mnt/share; PASSWD=secret mount.cifs //%v/%s /mnt/share -o username=ann,vers=3.1.1,cache=none,nodfs", s.Members[0].Service, volume))
	smb := s.actors(guest, "/mnt/share")
	var mounts []*mount
	for i, at := range s.Members {
		m := newMount(s.network.Host(), at.Service.String(), volume, uint32(i+1)<<28)
		defer m.close()
		if err := m.begin(ctx); err != nil {
			t.Fatal(err)
		}
		mounts = append(mounts, m)
	}
	file, err := mounts[0].create(ctx, "file")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", 10)
	use := func(when string, locked bool) {
		t.Helper()
		begun := time.Now()
		defer func() { t.Logf("%s: %v", when, time.Since(begun).Round(time.Millisecond)) }()
		for i, m := range mounts {
			at := s.Members[i].Name
			if got, err := m.read(ctx, file, 0, 10); err != nil || string(got) != text[:10] {
				t.Errorf("%s, at %s: before the range %q, %v", when, at, got, err)
			}
			if _, err := m.write(ctx, file, 60, []byte(text[:10]), nfs3.FileSync); err != nil {
				t.Errorf("%s, at %s: a write behind the range: %v", when, at, err)
			}
			_, read := m.read(ctx, file, 25, 10)
			_, write := m.write(ctx, file, 25, []byte(text[25:35]), nfs3.FileSync)
			if locked != errors.Is(read, acces) || locked != errors.Is(write, acces) || !locked && errors.Join(read, write) != nil {
				t.Errorf("%s, at %s: in the range: read %v, write %v; locked: %v", when, at, read, write, locked)
			}
		}
	}
	if _, err := mounts[0].write(ctx, file, 0, []byte(text), nfs3.FileSync); err != nil {
		t.Fatal(err)
	}
	use("before the lock", false)
	holder := smb.actor(t, "file")
	if err := holder.Lock(locks.Exclusive, 20, 20); err != nil {
		t.Fatal(err)
	}
	use("locked", true)
	begun := time.Now()
	s.Members[1].Command("volume", "set", volume, "--locks", "advisory")
	t.Logf("the setting was changed in %v", time.Since(begun).Round(time.Millisecond))
	use("advisory", false)
	s.Members[1].Command("volume", "set", volume, "--locks", "mandatory")
	use("mandatory again", true)
	s.Members[2].Kill()
	use("after the death of the administrator", true)
	s.Members[2].Start()
	if err := holder.Lock(locks.Unlocked, 20, 20); err != nil {
		t.Fatal(err)
	}
	use("unlocked", false)
}
