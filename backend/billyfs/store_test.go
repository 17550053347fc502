package billyfs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-billy/v5/util"

	"causeway"
	"causeway/backend"
	"causeway/backend/billyfs"
)

var ctx = context.Background()

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func lookup(t testing.TB, s *billyfs.Store, path ...string) causeway.ObjectID {
	t.Helper()
	id := s.Root()
	for _, name := range path {
		var err error
		if id, _, err = s.Lookup(ctx, id, name); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
	}
	return id
}

// TestSwappedDirectory: another program puts a link to the outside where a directory was. Old handles must not follow it.
func TestSwappedDirectory(t *testing.T) {
	top := t.TempDir()
	inside, outside := filepath.Join(top, "in"), filepath.Join(top, "out")
	for _, dir := range []string{filepath.Join(inside, "d"), outside} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(dir), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := must(billyfs.New(osfs.New(inside), billyfs.Config{}))(t)
	defer s.Close()
	d, f := lookup(t, s, "d"), lookup(t, s, "d", "f")
	if err := errors.Join(os.RemoveAll(filepath.Join(inside, "d")), os.Symlink(outside, filepath.Join(inside, "d"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(ctx, f, causeway.IORead, nil); !errors.Is(err, causeway.ErrStale) {
		t.Errorf("open: %v", err)
	}
	for name, err := range map[string]error{
		"stat":   second(s.Stat(ctx, f)),
		"set":    s.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetSize}),
		"list":   second(s.List(ctx, d, 0, true, func(*causeway.DirEntry) bool { return true })),
		"remove": s.Remove(ctx, d, "f", false),
		"rename": s.Rename(ctx, d, "f", s.Root(), "g"),
	} {
		if !errors.Is(err, causeway.ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
	}
	link := lookup(t, s, "d")
	if link == d {
		t.Error("the link has the id of the directory")
	}
	if _, _, err := s.Lookup(ctx, link, "f"); !errors.Is(err, causeway.ErrNotDir) {
		t.Errorf("lookup through the link: %v", err)
	}
	if _, _, err := s.Create(ctx, link, "g", &backend.CreateSpec{Type: causeway.TypeRegular}); !errors.Is(err, causeway.ErrNotDir) {
		t.Errorf("create through the link: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(outside, "f")); err != nil || string(got) != outside {
		t.Errorf("outside: %q, %v", got, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestOutsideChanges: what another program changes is seen.
func TestOutsideChanges(t *testing.T) {
	dir := t.TempDir()
	s := must(billyfs.New(osfs.New(dir), billyfs.Config{}))(t)
	defer s.Close()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := lookup(t, s, "f")
	before := must(s.Stat(ctx, f))(t)
	if err := errors.Join(os.WriteFile(path, []byte("three"), 0o644), os.Chtimes(path, causeway.Time{}.Std(), causeway.Time{Sec: 4e9}.Std())); err != nil {
		t.Fatal(err)
	}
	after := must(s.Stat(ctx, f))(t)
	if after.Size != 5 || after.Mtime.Sec != 4e9 || after.Change <= before.Change || after.Ctime.Compare(before.Ctime) <= 0 {
		t.Errorf("%+v became %+v", before, after)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(ctx, f); !errors.Is(err, causeway.ErrStale) {
		t.Errorf("removed: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if again := lookup(t, s, "f"); again == f {
		t.Error("a new file has the id of the one that was removed")
	}
}

// TestDeepRenames: trees keep their depth and their neighbours through renames, in memfs too.
func TestDeepRenames(t *testing.T) {
	fs := memfs.New()
	for _, name := range []string{"a/b/c/d/e", "a/b/bb/x", "ab/c/d", "a.txt", "abc"} {
		if err := util.WriteFile(fs, name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := must(billyfs.New(fs, billyfs.Config{}))(t)
	defer s.Close()
	deep := lookup(t, s, "a", "b", "c", "d", "e")
	empty := must3(s.Create(ctx, lookup(t, s, "a", "b"), "empty", &backend.CreateSpec{Type: causeway.TypeDirectory, Mode: 0o751}))(t)
	for i := range 5 {
		from, to := fmt.Sprint("n", i), fmt.Sprint("n", i+1)
		if i == 0 {
			from = "a"
		}
		if err := s.Rename(ctx, s.Root(), from, s.Root(), to); err != nil {
			t.Fatal(err)
		}
	}
	if got := lookup(t, s, "n5", "b", "c", "d", "e"); got != deep {
		t.Error("the id changed")
	}
	if a := must(s.Stat(ctx, empty))(t); a.Mode != 0o751 {
		t.Errorf("mode %o", a.Mode)
	}
	if _, _, err := s.Create(ctx, empty, "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o644}); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"n5/b/c/d/e": "a/b/c/d/e", "n5/b/bb/x": "a/b/bb/x", "ab/c/d": "ab/c/d", "a.txt": "a.txt", "abc": "abc"} {
		if got, err := util.ReadFile(fs, name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	left := must(fs.ReadDir("/"))(t)
	if len(left) != 4 {
		t.Errorf("%d entries in the root, want 4", len(left))
	}
}

func must3[T, U any](v T, _ U, err error) func(t testing.TB) T { return must(v, err) }

func TestBounds(t *testing.T) {
	s := must(billyfs.New(memfs.New(), billyfs.Config{MaxFile: 1000, MaxObjects: 3}))(t)
	defer s.Close()
	f := must3(s.Create(ctx, s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o644}))(t)
	o := must(s.Open(ctx, f, causeway.IOReadWrite, nil))(t)
	defer o.Close()
	if _, err := o.WriteAt(ctx, make([]byte, 11), 990); !errors.Is(err, causeway.ErrFBig) {
		t.Errorf("write: %v", err)
	}
	if err := s.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetSize, Size: 1001}); !errors.Is(err, causeway.ErrFBig) {
		t.Errorf("size: %v", err)
	}
	must3(s.Create(ctx, s.Root(), "g", &backend.CreateSpec{Type: causeway.TypeDirectory, Mode: 0o755}))(t)
	if _, _, err := s.Create(ctx, s.Root(), "h", &backend.CreateSpec{Type: causeway.TypeRegular}); !errors.Is(err, causeway.ErrNoSpc) {
		t.Errorf("create: %v", err)
	}
	for _, cfg := range []billyfs.Config{{MaxFile: 1 << 63}, {MaxObjects: -1}} {
		if _, err := billyfs.New(memfs.New(), cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// FuzzCookie: whatever the cookie, a listing ends, and tells nothing twice.
func FuzzCookie(f *testing.F) {
	s := must(billyfs.New(memfs.New(), billyfs.Config{}))(f)
	for i := range 5 {
		must3(s.Create(ctx, s.Root(), fmt.Sprint(i), &backend.CreateSpec{Type: causeway.TypeRegular}))(f)
	}
	f.Add(uint64(0))
	f.Add(uint64(1) << 62)
	f.Add(^uint64(0))
	f.Fuzz(func(t *testing.T, cookie uint64) {
		last := cookie
		eof, err := s.List(ctx, s.Root(), cookie, true, func(e *causeway.DirEntry) bool {
			if e.Cookie <= last {
				t.Errorf("cookie %d behind %d", e.Cookie, last)
			}
			last = e.Cookie
			return true
		})
		if eof == (err != nil) || err != nil && !errors.Is(err, causeway.ErrBadCookie) {
			t.Errorf("eof %v, %v", eof, err)
		}
	})
}

// FuzzName: no name leads anywhere but to an entry of its directory.
func FuzzName(f *testing.F) {
	top := f.TempDir()
	for _, name := range []string{"secret", "in/d/f"} {
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(name), 0o644)); err != nil {
			f.Fatal(err)
		}
	}
	s := must(billyfs.New(osfs.New(filepath.Join(top, "in")), billyfs.Config{}))(f)
	d := lookup(f, s, "d")
	for _, name := range []string{"f", "..", "../..", "../../secret", "/", "./f", "", "f\x00", "f/", `..\..\secret`} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_, a, err := s.Lookup(ctx, d, name)
		switch {
		case err != nil:
		case name == "f" && a.Size == 6 || (name == "." || name == "..") && a.Type == causeway.TypeDirectory:
		default:
			t.Errorf("%q leads to %+v", name, a)
		}
	})
}
