//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someWork = `
mkdir -p tree/sub
echo hello >tree/file
cp tree/file tree/copy
ln tree/file tree/link
ln -s file tree/symlink
mv tree/copy tree/sub/moved
dd if=/dev/urandom of=tree/blob bs=64k count=33 2>/dev/null
sync tree/blob
cmp tree/blob tree/blob
[ "$(cat tree/symlink)" = hello ]
[ "$(stat -c %h tree/link)" = 2 ]
ls -lR tree
df .
`

// checkWork compares what someWork left with what it should have left, on the server's side.
func checkWork(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]string{"file": "hello\n", "link": "hello\n", "sub/moved": "hello\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, "tree", name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "tree/symlink")); err != nil || target != "file" {
		t.Errorf("symlink: %q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "tree/blob")); err != nil || info.Size() != 33<<16 {
		t.Errorf("blob: %v, %v", info, err)
	}
}

func TestMountV3(t *testing.T) {
	s := setStage(t)
	guest, dir := s.mounted("alpha", "")
	guest.Sh(dir, someWork)
	checkWork(t, s.dir)
	guest.Sh("/", "umount "+dir)
}

// TestMountV3Plain mounts as a user does who gives no port: everything is found through the portmapper.
func TestMountV3Plain(t *testing.T) {
	s := setStage(t)
	guest, _ := s.mountedWithLocks("alpha")
	guest.Sh("/", "mkdir /mnt/plain; mount.nfs "+s.host.Address.String()+":/"+volume+" /mnt/plain -o vers=3")
	guest.Sh("/mnt/plain", someWork+"flock -n tree/file true")
	checkWork(t, s.dir)
	if got := guest.Sh("/", "showmount -e "+s.host.Address.String()); !strings.Contains(got, "/"+volume) {
		t.Errorf("showmount -e: %q", got)
	}
}

func TestMountOfUnknownExportFails(t *testing.T) {
	s := setStage(t)
	guest, _ := s.mounted("alpha", "")
	mount := s.server.Mount("nothing")
	if _, result, err := guest.TryMount(mount); err != nil || result.Status == 0 {
		t.Errorf("%+v, %v", result, err)
	}
}
