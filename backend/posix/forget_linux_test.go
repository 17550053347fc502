package posix

import (
	"os"
	"path/filepath"
	"testing"

	"causeway"
)

// TestForget changes a tree behind an exclusive store's back: what was forgotten is seen, and nothing else.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Config{Exclusive: true})
	size := func(name string) uint64 {
		t.Helper()
		_, a, err := s.Lookup(t.Context(), s.Root(), name)
		if err != nil {
			t.Fatal(err)
		}
		return a.Size
	}
	if _, err := s.Stat(t.Context(), s.Root()); err != nil {
		t.Fatal(err)
	}
	one, _, err := s.Lookup(t.Context(), s.Root(), "one")
	if err != nil || size("two")+size("one")+size("two")+size("one") != 0 { // twice, to be remembered
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("12345"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.Forget(one)
	if size("one") != 5 || size("two") != 0 {
		t.Fatal("forgot the wrong one:", size("one"), size("two"))
	}
	if err := os.Rename(filepath.Join(dir, "two"), filepath.Join(dir, "three")); err != nil {
		t.Fatal(err)
	}
	s.Forget(causeway.ObjectID{})
	if size("three") != 5 {
		t.Fatal(size("three"))
	}
	if _, _, err := s.Lookup(t.Context(), s.Root(), "two"); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Fatal("remembers a name", err)
	}
	found := false
	if _, err := s.List(t.Context(), s.Root(), 0, true, func(e *causeway.DirEntry) bool {
		found = found || e.Name == "three" && e.Attr.Size == 5
		return true
	}); err != nil || !found {
		t.Fatal("not listed", err)
	}
}
