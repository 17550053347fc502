package posix

import (
	"testing"

	"causeway"
)

// TestName: an object's name is told wherever it lies, follows a rename, and is none that it has not.
func TestName(t *testing.T) {
	for name, cfg := range map[string]Config{
		"private mount": {Identity: IdentityHandle}, "no private mount": {Identity: IdentityHandle, noClone: true},
		"exclusive": {Identity: IdentityHandle, Exclusive: true}, "index": {Identity: IdentityIndex},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if cfg.Identity == IdentityHandle && handlesWork(openRoot(t, dir)) != nil {
				t.Skip("no file handles here")
			}
			s := open(t, dir, cfg)
			a := mk(t, s, s.Root(), "a", causeway.TypeDirectory)
			b := mk(t, s, a, "b c", causeway.TypeDirectory)
			f := mk(t, s, b, "file (deleted)", causeway.TypeRegular)
			top := mk(t, s, s.Root(), "top", causeway.TypeRegular)
			wantName(t, s, f, b, "file (deleted)")
			wantName(t, s, b, a, "b c")
			wantName(t, s, top, s.Root(), "top")
			if err := s.Rename(t.Context(), b, "file (deleted)", s.Root(), "moved"); err != nil {
				t.Fatal(err)
			}
			wantName(t, s, f, s.Root(), "moved")
			if err := s.Rename(t.Context(), a, "b c", s.Root(), "d"); err != nil {
				t.Fatal(err)
			}
			if err := s.Rename(t.Context(), s.Root(), "moved", b, "again"); err != nil {
				t.Fatal(err)
			}
			wantName(t, s, f, b, "again")
			if _, _, err := s.Name(t.Context(), s.Root()); causeway.CodeOf(err) != causeway.ErrNoEnt {
				t.Error("the root has a name", err)
			}
			if err := s.Remove(t.Context(), b, "again", false); err != nil {
				t.Fatal(err)
			}
			if d, n, err := s.Name(t.Context(), f); err == nil {
				t.Error("what is gone has a name", d, n)
			}
		})
	}
}

func openRoot(t *testing.T, dir string) int {
	t.Helper()
	m, err := openMount(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m.fd
}

func wantName(t *testing.T, s *Store, id, dir causeway.ObjectID, name string) {
	t.Helper()
	if d, n, err := s.Name(t.Context(), id); err != nil || d != dir || n != name {
		t.Errorf("%q, %v instead of %q", n, err, name)
	}
}
