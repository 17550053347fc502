//go:build linux

package harness

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway/e2e/harness/wire"
)

func TestMain(m *testing.M) { Main(m) }

func TestGuestBootsAgain(t *testing.T) {
	network := NewNetwork(t)
	guest := network.Boot(GuestConfig{Name: "alpha", Locking: true})
	if got := guest.MustRun("/", "hostname"); got != "alpha\n" {
		t.Errorf("hostname %q", got)
	}
	guest.Sh("/", "echo kept >/var/lib/nfs/note; echo lost >/tmp/note")
	guest.Kill()
	guest.Boot()
	if got := guest.Sh("/", "cat /var/lib/nfs/note; [ ! -e /tmp/note ]"); got != "kept\n" {
		t.Errorf("after a reboot: %q", got)
	}
	if got := guest.Sh("/", "rpcinfo -p | awk '$1 == 100024'"); !strings.Contains(got, "100024") {
		t.Errorf("statd is not registered: %q", got)
	}
}

// TestGuestMountsPeer shows that the stage works without any part of causeway on it.
func TestGuestMountsPeer(t *testing.T) {
	if _, err := LookPath("ganesha.nfsd"); err != nil {
		t.Skip("nfs-ganesha, which would serve on an installed system, is not asked for: ", err)
	}
	network := NewNetwork(t)
	dir := t.TempDir()
	ganesha := StartGanesha(t, network.Host(), map[string]string{"data": dir})
	guest := network.Boot(GuestConfig{Name: "alpha", Locking: true})
	mount := ganesha.Mount("data")
	mount.Locking = true
	data := guest.Mount(mount)
	guest.Sh(data, "echo hello >file; flock -n file cat file >copy; ls -la")
	if got, err := os.ReadFile(filepath.Join(dir, "copy")); err != nil || string(got) != "hello\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCommandEndsWithItsContext: what a command has started ends with it.
func TestCommandEndsWithItsContext(t *testing.T) {
	guest := NewNetwork(t).Boot(GuestConfig{Name: "alpha"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := guest.Run(ctx, wire.Command{Argv: []string{"/bin/sh", "-c", "sleep 98765 & touch /run/started; wait"}})
		ended <- err
	}()
	guest.Sh("/", "while [ ! -e /run/started ]; do sleep 0.05; done; grep -qsx sleep /proc/[0-9]*/comm")
	cancel()
	if err := <-ended; err == nil {
		t.Error("a command that was cut off reports no error")
	}
	guest.Sh("/", "while grep -qsx sleep /proc/[0-9]*/comm; do :; done")
}
