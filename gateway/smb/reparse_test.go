package smb_test

import (
	"os"
	"testing"
)

// TestSymbolicLinks: a client makes a link, reads where it leads, and what it leads to through it.
func TestSymbolicLinks(t *testing.T) {
	onStores(t, func(t *testing.T, s *site) {
		share := dial(t, s, "u", "p")
		ok(t, share.Mkdir("d", 0o755))
		ok(t, share.WriteFile(`d\file`, []byte("hello"), 0o644))
		ok(t, share.Symlink(`d\file`, "link"))
		if target, err := share.Readlink("link"); err != nil || target != `d\file` {
			t.Error(target, err)
		}
		info, err := share.Lstat("link")
		if err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Error(info, err)
		}
		if b, err := share.ReadFile("link"); err != nil || string(b) != "hello" {
			t.Errorf("%q %v", b, err)
		}
		if err := share.Symlink("elsewhere", `d\file`); !os.IsExist(err) {
			t.Error("over a file:", err)
		}
		ok(t, share.Remove("link"))
		if _, err := share.Lstat("link"); !os.IsNotExist(err) {
			t.Error("it is still there:", err)
		}
		if b, err := share.ReadFile(`d\file`); err != nil || string(b) != "hello" {
			t.Errorf("what it led to: %q %v", b, err)
		}
	})
}
