//go:build linux

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
)

// share mounts a volume over SMB at a gateway's address.
func (s *stage) share(guest *harness.Guest, at *harness.Member, volume, options string) string {
	s.t.Helper()
	dir := "/mnt/share-" + at.Name
	guest.Sh("/", fmt.Sprintf("mkdir -p %s; PASSWD=secret mount.cifs //%v/%s %s -o username=ann,vers=3.1.1,%s", dir, at.Service, volume, dir, options))
	return dir
}

// keepsOn is what a guest does: it appends to a file that stays open, and makes, renames and reads others, one round after another, until it
// is told to stop. The former must not fail. The latter is tried again: Linux 6.1 answers a program that makes or renames something while
// the connection breaks with EAGAIN, whatever the server and the mount.
const keepsOn = `exec 3>>log; i=0
while [ ! -e stop ]; do
	i=$((i+1))
	echo $i >&3 || { echo "a write failed in round $i"; exit 1; }
	until [ "$(cat kept.$i 2>/dev/null)" = $i ]; do
		{ echo $i >new.$i && mv new.$i kept.$i; } 2>/dev/null || sleep 0.05
	done
	until echo $i >rounds; do sleep 0.05; done 2>/dev/null
done
exec 3>&- && echo $i`

// TestSMBMountSurvives kills the gateway that a hard mount of the kernel's SMB client uses, and the one that administers the volume, while a
// program works there: it waits, goes on where the address is now, and nothing that it wrote is missing.
func TestSMBMountSurvives(t *testing.T) {
	harness.RequireProgram(t, "mount.cifs", "cifs-utils")
	s := setStage(t, 1, harness.ClusterConfig{Flags: []string{"--smb", "445"}})
	volume := s.volumes[0]
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	s.addUser("ann")
	s.move(volume, s.Members[2])
	guest := s.network.Boot(harness.GuestConfig{Name: "alpha"})
	dir := s.share(guest, s.Members[0], volume, "hard,nodfs") // a referral might name another gateway
	done := make(chan string, 1)
	go func() {
		r, err := guest.Run(t.Context(), wire.Command{Argv: []string{"/bin/sh", "-c", keepsOn}, Dir: dir})
		if err != nil || r.Status != 0 {
			r.Stdout = fmt.Sprintf("%d %v %s%s", -r.Status, err, r.Stdout, r.Stderr)
		}
		done <- r.Stdout
	}()
	path := func(name string) string { return filepath.Join(s.dirs[volume], name) }
	progress := func(when string) {
		t.Helper()
		begun := time.Now()
		before, _ := os.ReadFile(path("rounds"))
		for n := range 3 {
			s.Await(when+": the program goes on", func() bool {
				select {
				case e := <-done:
					t.Fatalf("%s: the program has ended: %s", when, e)
				default:
				}
				now, _ := os.ReadFile(path("rounds"))
				changed := len(now) > 0 && string(now) != string(before)
				if changed {
					before = now
				}
				return changed
			})
			if n == 0 {
				t.Logf("%s: it goes on after %v", when, time.Since(begun).Round(time.Millisecond))
			}
		}
	}
	progress("at first")
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"the client's gateway dies", s.Members[0].Kill},
		{"it is back", func() { s.Members[0].Start(); s.AwaitRest(1) }},
		{"the administrator dies", s.Members[2].Kill},
	} {
		c.do()
		progress(c.what)
	}
	guest.Sh(dir, "touch stop")
	rounds, said := 0, <-done
	if fmt.Sscan(said, &rounds); rounds < 1 {
		t.Fatal(said)
	}
	log, _ := os.ReadFile(path("log"))
	want := strings.Builder{}
	for i := 1; i <= rounds; i++ {
		fmt.Fprintln(&want, i)
		if got, err := os.ReadFile(path(fmt.Sprint("kept.", i))); err != nil || string(got) != fmt.Sprintln(i) {
			t.Errorf("kept.%d: %q, %v", i, got, err)
		}
	}
	if string(log) != want.String() {
		t.Errorf("%d rounds, and the log is %q", rounds, log)
	}
}
