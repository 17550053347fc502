//go:build linux

package e2e

import (
	"testing"

	"causeway/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// volume is the name of the volume that most tests export.
const volume = "data"

// stage is what most tests play on: one server that exports one directory.
type stage struct {
	network *harness.Network
	host    *harness.Host // the server's
	server  harness.Server
	dir     string // of the volume, on the host
}

// setStage starts a server with a portmapper, or skips the test. Stages share nothing, so that tests on them run in parallel.
func setStage(t *testing.T, flags ...string) *stage {
	t.Helper()
	t.Parallel()
	s := &stage{network: harness.NewNetwork(t), dir: t.TempDir()}
	s.host = s.network.Host()
	s.server = harness.StartServer(t, s.host, harness.GatewayConfig{
		Volumes: map[string]string{volume: s.dir},
		Portmap: true,
		Flags:   flags,
	})
	return s
}

// mounted boots a guest and mounts the volume without NLM.
func (s *stage) mounted(name string, options string) (guest *harness.Guest, dir string) {
	guest = s.network.Boot(harness.GuestConfig{Name: name})
	mount := s.server.Mount(volume)
	mount.Options = options
	return guest, guest.Mount(mount)
}

// mountedWithLocks boots a guest and mounts the volume with NLM.
func (s *stage) mountedWithLocks(name string) (guest *harness.Guest, dir string) {
	guest = s.network.Boot(harness.GuestConfig{Name: name, Locking: true})
	mount := s.server.Mount(volume)
	mount.Locking = true
	return guest, guest.Mount(mount)
}

// quickly are the flags of a server that need not survive a crash: tests that make thousands of names would wait for the
// disk most of their time. The long versions do wait.
func quickly() []string {
	if harness.Long() {
		return nil
	}
	return []string{"--async"}
}
