package posix

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"causeway"
)

// everyMount runs a test with the private mount and with the checks that stand in for it.
func everyMount(t *testing.T, f func(t *testing.T, open func(dir string) *Store)) {
	t.Run("private mount", func(t *testing.T) {
		needRoot(t)
		f(t, func(dir string) *Store {
			s := open(t, dir, Config{})
			if !s.mount.cloned {
				t.Skip("no private mounts here")
			}
			return s
		})
	})
	t.Run("checked steps", func(t *testing.T) {
		f(t, func(dir string) *Store { return open(t, dir, Config{noClone: true}) })
	})
}

func TestMountInsideIsNotCrossed(t *testing.T) {
	needRoot(t)
	everyMount(t, func(t *testing.T, open func(dir string) *Store) {
		ctx := context.Background()
		dir := t.TempDir()
		for _, name := range []string{"before", "after"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		mount := func(name string) {
			at := filepath.Join(dir, name)
			if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
				t.Skip("no mounts here: ", err)
			}
			t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
			if err := os.WriteFile(filepath.Join(at, "secret"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		mount("before")
		s := open(dir)
		mount("after")
		for _, name := range []string{"before", "after"} {
			id, _, err := s.Lookup(ctx, s.Root(), name)
			if err == nil { // what lies below the mount
				_, _, err = s.Lookup(ctx, id, "secret")
				wantCode(t, err, causeway.ErrNoEnt)
				continue
			}
			wantCode(t, err, causeway.ErrAccess)
		}
		_, err := s.List(ctx, s.Root(), 0, true, func(e *causeway.DirEntry) bool {
			if e.Name != "." && e.Name != ".." && !e.Object.IsZero() && !s.mount.cloned {
				t.Errorf("%q: a mount is listed as an object", e.Name)
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestNamesStayInside(t *testing.T) {
	everyMount(t, func(t *testing.T, open func(dir string) *Store) {
		ctx := context.Background()
		base := t.TempDir()
		dir := filepath.Join(base, "volume")
		for _, d := range []string{"volume/a/b", "outside"} {
			if err := os.MkdirAll(filepath.Join(base, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("../outside", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		s := open(dir)
		link, attr, err := s.Lookup(ctx, s.Root(), "link")
		if err != nil || attr.Type != causeway.TypeSymlink {
			t.Fatal(attr, err)
		}
		_, _, err = s.Lookup(ctx, link, "x")
		wantCode(t, err, causeway.ErrNotDir)
		_, _, err = s.Lookup(ctx, s.Root(), "a/b")
		wantCode(t, err, causeway.ErrBadName)
		if id, _, err := s.Lookup(ctx, s.Root(), ".."); err != nil || id != s.Root() {
			t.Fatal(id, err)
		}
		a, _, err := s.Lookup(ctx, s.Root(), "a")
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := s.Lookup(ctx, a, "b")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(base, "outside", "a")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, _, err = s.Lookup(ctx, a, "..")
			wantCode(t, err, causeway.ErrStale)
			if id, _, err := s.Lookup(ctx, b, ".."); err == nil && id != a {
				t.Fatal("out of the volume")
			}
		}
	})
}

// TestSymlinkRaces looks a name up while it is exchanged with a symbolic link that leads out.
func TestSymlinkRaces(t *testing.T) {
	everyMount(t, func(t *testing.T, open func(dir string) *Store) {
		ctx := context.Background()
		base := t.TempDir()
		dir := filepath.Join(base, "volume")
		for _, d := range []string{"volume/x", "outside"} {
			if err := os.MkdirAll(filepath.Join(base, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(base, "outside", "secret"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../outside", filepath.Join(dir, "y")); err != nil {
			t.Fatal(err)
		}
		s := open(dir)
		stop := make(chan struct{})
		var swapper sync.WaitGroup
		swapper.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, "x"), unix.AT_FDCWD, filepath.Join(dir, "y"), unix.RENAME_EXCHANGE)
			}
		})
		defer swapper.Wait()
		defer close(stop)
		for i := range 5000 {
			id, attr, err := s.Lookup(ctx, s.Root(), "x")
			if err != nil {
				t.Fatal(i, err)
			}
			_, _, err = s.Lookup(ctx, id, "secret")
			if attr.Type == causeway.TypeSymlink {
				wantCode(t, err, causeway.ErrNotDir)
			} else {
				wantCode(t, err, causeway.ErrNoEnt)
			}
			if i%16 == 0 {
				s.cache.shrink(1 << 30)
			}
		}
	})
}
