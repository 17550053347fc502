//go:build linux

package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/smb2"
)

// TestSMBDrain drains the gateway of a client that caches unwritten data under a durable handle: it is asked to write it back, cut off, let in
// at the other gateway only, where it has the handle again with its lock; and then let in again at the first one.
func TestSMBDrain(t *testing.T) {
	s := setSMB(t)
	s.move(s.volume, s.Members[2])
	f := s.keeps(t, s.a, "file")
	drained := s.Members[0]
	s.Members[1].Command("node", "drain", drained.Name)
	s.Await("the lease is broken", func() bool {
		for _, b := range s.a.Breaks() {
			if b.Key == f.Opened.Key {
				if b.To != smb2.RH {
					t.Errorf("broken to %d", b.To)
				}
				return true
			}
		}
		return false
	})
	want(t, "write back", f.Write(6, []byte(" and after")), nil)
	want(t, "acknowledgement", s.a.Acknowledge(f.Opened.Key, smb2.RH), nil)
	if _, err := s.tryConnect(0, 3, nil); err == nil {
		t.Error("the gateway that drains lets somebody in")
	}
	s.Await("the client is cut off", func() bool { return s.a.Echo() != nil })
	s.a = s.connect(1, 1)
	o := f.Opened
	o.Back = f
	again, err := s.a.Create(o)
	if err != nil {
		t.Fatal("the handle is not had again:", err)
	}
	if got, err := again.Read(0, 100); err != nil || string(got) != "before and after" || again.Lease != smb2.RH {
		t.Errorf("%q, %v, lease %d", got, err, again.Lease)
	}
	other := must(t, s.b, smb2.Open{Name: "file", Access: smb2.ReadData, Share: smb2.ShareAll, Disposition: smb2.OpenOnly})
	want(t, "a lock that was kept", other.Lock(smb2.Shared|smb2.AtOnce, 5, 1), smb2.LockNotGranted)
	want(t, "close", other.Close(), nil)
	want(t, "close", again.Close(), nil)
	s.Members[1].Command("node", "set", drained.Name, "--active")
	s.a.Cut()
	s.a = s.connect(0, 1)
}

// drainWork writes files in a mount and reads them back, for longer than a drain leaves clients where they are, and fails when something cannot be done for a minute.
const drainWork = `for i in $(seq 1 100); do
	tries=0
	until echo data$i 2>/dev/null >f$i && [ "$(cat f$i 2>/dev/null)" = data$i ]; do
		tries=$((tries + 1))
		if [ $tries -gt 200 ]; then ls -l; exit 1; fi
		sleep 0.3
	done
	sleep 0.3
done
cat f* | sort -u | wc -l`

// TestCIFSDrain drains the gateway at which a guest has the share mounted: its kernel goes on at another one that its referral names.
func TestCIFSDrain(t *testing.T) {
	harness.RequireProgram(t, "mount.cifs", "cifs-utils")
	s := setSMB(t)
	s.move(s.volume, s.Members[2])
	guest := s.network.Boot(harness.GuestConfig{Name: "alpha"})
	guest.Sh("/", fmt.Sprintf("mkdir -p /mnt/share; PASSWD=secret mount.cifs //%v/%s /mnt/share -o username=ann,vers=3.1.1", s.Members[0].Service, s.volume))
	done := make(chan string, 1)
	go func() { done <- guest.Sh("/mnt/share", drainWork) }()
	s.Await("the guest works", func() bool {
		_, err := s.a.Create(smb2.Open{Name: "f5", Access: smb2.ReadData, Share: smb2.ShareAll, Disposition: smb2.OpenOnly})
		return err == nil
	})
	s.Members[1].Command("node", "drain", s.Members[0].Name)
	if out := <-done; strings.TrimSpace(out) != "100" {
		t.Errorf("the guest: %s", out)
	}
	if _, err := s.tryConnect(0, 3, nil); err == nil {
		t.Error("the gateway that drains lets somebody in")
	}
}

// TestCIFSFailover kills the gateway at which a guest has the share mounted, at an address that the guest reaches no more, whoever has taken it: its
// kernel goes on at another one that its referral named when it was mounted.
func TestCIFSFailover(t *testing.T) {
	harness.RequireProgram(t, "mount.cifs", "cifs-utils")
	s := setSMB(t)
	s.move(s.volume, s.Members[2])
	guest := s.network.Boot(harness.GuestConfig{Name: "alpha"})
	guest.Sh("/", fmt.Sprintf("mkdir -p /mnt/share; PASSWD=secret mount.cifs //%v/%s /mnt/share -o username=ann,vers=3.1.1,echo_interval=2", s.Members[0].Service, s.volume))
	done := make(chan string, 1)
	go func() { done <- guest.Sh("/mnt/share", strings.Replace(drainWork, "100", "30", 1)) }()
	s.Await("the guest works", func() bool {
		_, err := s.b.Create(smb2.Open{Name: "f5", Access: smb2.ReadData, Share: smb2.ShareAll, Disposition: smb2.OpenOnly})
		return err == nil
	})
	guest.Sh("/", fmt.Sprintf("ip route add unreachable %v/32", s.Members[0].Service))
	s.Members[0].Kill()
	begun := time.Now()
	files := func() int {
		list, err := os.ReadDir(s.dirs[s.volume])
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := files()
	s.Await("the guest goes on", func() bool { return files() > before+1 })
	t.Log("it goes on after", time.Since(begun).Round(time.Second))
	if out := <-done; strings.TrimSpace(out) != "30" {
		t.Errorf("the guest: %s", out)
	}
}
