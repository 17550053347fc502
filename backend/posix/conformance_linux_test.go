package posix

import (
	"context"
	"os"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
)

// suite runs the conformance suite in fresh directories under base ("": the default place of temporary files).
func suite(t *testing.T, base string, cfg Config, caps backendtest.Caps) {
	dirs := map[causeway.VolumeID]string{}
	start := func(t testing.TB, dir string) backend.Store {
		s, err := Open(context.Background(), dir, cfg)
		if err != nil {
			t.Fatal(err)
		}
		dirs[s.VolumeID()] = dir
		return s
	}
	backendtest.Run(t, backendtest.Options{
		Caps: caps,
		New: func(t testing.TB) backend.Store {
			dir, err := os.MkdirTemp(base, "causeway-test-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			return start(t, dir)
		},
		Reopen: func(t testing.TB, s backend.Store) backend.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return start(t, dirs[s.(*Store).VolumeID()])
		},
	})
}

// needRoot skips what an unprivileged user cannot try.
func needRoot(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// asRoot is what the suite may expect of this process as root: as long as it has CAP_FSETID a write keeps set-user-id bits.
func asRoot() backendtest.Caps {
	caps := backendtest.Full
	caps.SetIDClear = !hasCap(21)
	return caps
}

func TestConformanceByHandle(t *testing.T) {
	needRoot(t)
	suite(t, "", Config{Identity: IdentityHandle}, asRoot())
}

func TestConformanceInMemory(t *testing.T) {
	needRoot(t)
	suite(t, "/dev/shm", Config{Identity: IdentityHandle}, asRoot())
}
