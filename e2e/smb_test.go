//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"causeway/e2e/harness"
)

// share is a stage whose server answers SMB, and a guest that has the volume mounted in some way.
type share struct {
	*stage
	guest *harness.Guest
}

// setShare starts such a server and boots a guest.
func setShare(t *testing.T, flags ...string) *share {
	t.Helper()
	harness.RequireProgram(t, "mount.cifs", "cifs-utils")
	s := setShareAlone(t, flags...)
	s.guest = s.network.Boot(harness.GuestConfig{Name: "alpha"})
	return s
}

// mount mounts the volume over SMB in the guest.
func (s *share) mount(name, options string) string {
	dir := "/mnt/" + name
	s.guest.Sh("/", fmt.Sprintf("mkdir -p %s; PASSWD=secret mount.cifs //%v/%s %s -o username=ann,%s", dir, s.host.Address, volume, dir, options))
	return dir
}

// TestCIFS mounts a volume with the kernel's own SMB client in its ways to protect what is sent, and works there.
func TestCIFS(t *testing.T) {
	s := setShare(t)
	for name, options := range map[string]string{
		"signed": "vers=3.1.1,sign", "sealed": "vers=3.1.1,seal", "old": "vers=2.1", "middle": "vers=3.0,seal",
	} {
		dir := s.mount(name, options+",mfsymlinks")
		s.guest.Sh(dir, strings.Replace(someWork, "ln -s file tree/symlink\n", "cp tree/file tree/symlink\n", 1))
		for file, want := range map[string]string{"file": "hello\n", "link": "hello\n", "sub/moved": "hello\n"} {
			if got, err := os.ReadFile(s.dir + "/tree/" + file); err != nil || string(got) != want {
				t.Errorf("%s: %s: %q, %v", name, file, got, err)
			}
		}
		s.guest.Sh("/", "rm -r "+dir+"/tree; umount "+dir)
	}
}

// TestCIFSContents compares what random writes, cuts and mappings leave with what they should.
func TestCIFSContents(t *testing.T) {
	s := setShare(t)
	for name, options := range map[string]string{"cached": "vers=3.1.1", "strict": "vers=3.1.1,seal,cache=none"} {
		dir, program := s.mount(name, options), []string{"fsx", "-ops", scale(300, 5000)}
		if name == "strict" {
			program = append(program, "-no-mmap") // the client itself does not write mappings back before what it writes past them
		}
		posix(t, s.guest, dir, program...)
		s.guest.Sh("/", "umount "+dir)
	}
}

// TestCIFSStress has many processes of the kernel's client make, change and remove files and directories at once, where nothing is signed and
// where all is sealed.
func TestCIFSStress(t *testing.T) {
	s := setShare(t, "--smb-signing", "offered")
	for name, options := range map[string]string{"plain": "vers=3.1.1", "sealed": "vers=3.1.1,seal"} {
		dir := s.mount(name, options)
		posix(t, s.guest, dir, "stress", "-share", "-processes", "4", "-ops", scale(80, 3000))
		s.guest.Sh("/", "umount "+dir)
	}
}
