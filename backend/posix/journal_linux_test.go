package posix

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"causeway"
	"causeway/backend"
)

// crash copies what the device of an image holds, without what the kernel has not written there, and mounts the copy.
func (im *image) crash(t *testing.T) *image {
	t.Helper()
	from, err := os.Open(im.file)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(t.TempDir(), "copy"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	return mountImage(t, to.Name(), "")
}

// busyTree changes names and attributes in several directories at once, and returns what the tree has when all is done: path →
// mode in octal.
func busyTree(t *testing.T, s *Store) map[string]string {
	ctx := context.Background()
	want := map[string]string{}
	var mu sync.Mutex
	var users sync.WaitGroup
	for user := range 8 {
		users.Go(func() {
			ok := func(err error) {
				if err != nil {
					t.Error(err)
				}
			}
			make := func(dir causeway.ObjectID, name string, typ causeway.FileType) causeway.ObjectID {
				id, _, err := s.Create(ctx, dir, name, &backend.CreateSpec{Type: typ, Mode: 0o700, UID: 1000, GID: 1000, Target: "t"})
				ok(err)
				ok(s.Persist(ctx, dir, id))
				return id
			}
			top := fmt.Sprint("d", user)
			dir := make(s.Root(), top, causeway.TypeDirectory)
			sub := make(dir, "sub", causeway.TypeDirectory)
			for i := range 20 {
				name := fmt.Sprint("f", i)
				file := make(dir, name, []causeway.FileType{causeway.TypeRegular, causeway.TypeFIFO, causeway.TypeSymlink}[i%3])
				kept, mode := filepath.Join(top, name), "700"
				if i%3 == 2 {
					mode = "777"
				}
				switch {
				case i%5 == 0 && i%3 != 2:
					ok(s.SetStat(ctx, file, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o640}))
					ok(s.Persist(ctx, file))
					mode = "640"
				case i%5 == 1:
					ok(s.Remove(ctx, dir, name, false))
					ok(s.Persist(ctx, dir))
					continue
				case i%5 == 2:
					ok(s.Rename(ctx, dir, name, sub, "moved"+name))
					ok(s.Persist(ctx, sub, dir))
					kept = filepath.Join(top, "sub", "moved"+name)
				case i%5 == 3:
					ok(s.Link(ctx, file, sub, name))
					ok(s.Persist(ctx, sub, file))
					mu.Lock()
					want[filepath.Join(top, "sub", name)] = mode
					mu.Unlock()
				}
				mu.Lock()
				want[kept] = mode
				mu.Unlock()
			}
			mu.Lock()
			want[top], want[filepath.Join(top, "sub")] = "700", "700"
			mu.Unlock()
		})
	}
	users.Wait()
	return want
}

// treeOf returns what busyTree returns, of a mounted tree.
func treeOf(t *testing.T, dir string) map[string]string {
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if name == "." || strings.HasPrefix(name, markerDir) || name == "lost+found" {
			return nil
		}
		info, err := entry.Info()
		if err == nil {
			got[name] = fmt.Sprintf("%o", info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestAcknowledgedNamesSurviveACrash changes names and attributes, persists them, and looks at the device as it is after a crash
// at that moment. Without Persist most must be missing there, or the test would show nothing.
func TestAcknowledgedNamesSurviveACrash(t *testing.T) {
	for _, way := range []struct {
		name, features, options string
		journal                 bool
	}{
		{"journal", "has_journal", ",commit=300", true},
		{"fast commits", "has_journal,fast_commit", ",commit=300", true},
		{"no journal", "^has_journal", "", false},
	} {
		t.Run(way.name, func(t *testing.T) {
			im := newImage(t, 64, way.features, way.options)
			s := openImage(t, im, Config{})
			if (s.journal != nil) != way.journal {
				t.Fatalf("journal: %v", s.journal != nil)
			}
			want := busyTree(t, s)
			st := s.Stats()
			crashed := im.crash(t)
			got := treeOf(t, crashed.dir)
			for path, mode := range want {
				if got[path] != mode {
					t.Errorf("%s: mode %q after the crash, want %s", path, got[path], mode)
				}
			}
			for path := range got {
				if want[path] == "" {
					t.Errorf("%s is back after the crash", path)
				}
			}
			t.Logf("%d requests, %d syncs", st.SyncRequests, st.Syncs)
		})
	}
	t.Run("nothing persisted", func(t *testing.T) {
		im := newImage(t, 64, "has_journal", ",commit=300")
		s := openImage(t, im, Config{NoPersist: true})
		want := busyTree(t, s)
		if got := treeOf(t, im.crash(t).dir); len(got) > len(want)/2 {
			t.Fatalf("%d of %d names are there", len(got), len(want))
		}
	})
}
