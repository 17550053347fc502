package billyfs_test

import (
	"testing"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/osfs"

	"causeway/backend"
	"causeway/backend/backendtest"
	"causeway/backend/billyfs"
)

// conform runs the suite on stores over filesystems that fresh makes.
func conform(t *testing.T, caps backendtest.Caps, fresh func(t testing.TB) billy.Filesystem) {
	under := make(map[backend.Store]billy.Filesystem)
	open := func(t testing.TB, fs billy.Filesystem) backend.Store {
		s, err := billyfs.New(fs, billyfs.Config{})
		if err != nil {
			t.Fatal(err)
		}
		under[s] = fs
		return s
	}
	backendtest.Run(t, backendtest.Options{
		New: func(t testing.TB) backend.Store { return open(t, fresh(t)) },
		Reopen: func(t testing.TB, s backend.Store) backend.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, under[s])
		},
		Caps: caps,
		Tick: func() { time.Sleep(20 * time.Millisecond) }, // the kernel's file times move in steps
	})
}

// caps is what every billy filesystem with modes can do.
var caps = backendtest.Caps{Symlinks: true, Modes: true, Times: true, ChangeTimes: true, SetIDClear: true, UnlinkedOpen: true, Replace: true}

func TestConformanceMemfs(t *testing.T) {
	conform(t, caps, func(testing.TB) billy.Filesystem { return memfs.New() })
}

func TestConformanceOsfs(t *testing.T) {
	conform(t, caps, func(t testing.TB) billy.Filesystem { return osfs.New(t.TempDir()) })
}
