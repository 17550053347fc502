package smb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"causeway/backend/posix"
)

// TestSpellingsFollowTheDirectory: names that are made, moved and removed here and behind the server's back are found in any case, and no
// name is made twice in different cases.
func TestSpellingsFollowTheDirectory(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.Chmod(dir, 0o777))
	store, err := posix.Open(t.Context(), dir, posix.Config{})
	if err != nil {
		t.Skip("no volume here:", err)
	}
	s := serve(t, store, listen(t), nil)
	fs := dial(t, s, "u", "p")
	for i := range 200 {
		ok(t, fs.WriteFile(fmt.Sprintf("File%d", i), []byte{byte(i)}, 0o644))
	}
	for i := range 200 {
		if got, err := fs.ReadFile(fmt.Sprintf("fILE%d", i)); err != nil || got[0] != byte(i) {
			t.Fatal(i, got, err)
		}
	}
	ok(t, fs.WriteFile("FILE7", []byte("seven"), 0o644))
	if got, err := os.ReadFile(filepath.Join(dir, "File7")); err != nil || string(got) != "seven" {
		t.Errorf("%q, %v", got, err)
	}
	ok(t, fs.Rename("file8", "Moved"))
	ok(t, fs.Remove("FILE9"))
	for _, gone := range []string{"file8", "file9"} {
		if _, err := fs.Stat(gone); !os.IsNotExist(err) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	if _, err := fs.Stat("MOVED"); err != nil {
		t.Error(err)
	}
	ok(t, os.Rename(filepath.Join(dir, "File10"), filepath.Join(dir, "Elsewhere")))
	ok(t, os.WriteFile(filepath.Join(dir, "Beside"), nil, 0o644))
	if _, err := fs.Stat("ELSEWHERE"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat("BESIDE"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat("FILE10"); !os.IsNotExist(err) {
		t.Error(err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) < 200 || len(names) > 203 { // the volume's own file may be among them
		t.Errorf("%d names, %v", len(names), err)
	}
}
