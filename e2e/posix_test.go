//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
)

// posix runs one of the programs of e2e/posix in dir of a guest, fails the test unless it succeeds, and returns its output.
func posix(t *testing.T, guest *harness.Guest, dir string, args ...string) string {
	t.Helper()
	result, err := guest.Run(t.Context(), posixCommand(t, dir, args...))
	if err != nil || result.Status != 0 {
		t.Errorf("posix %s: status %d, %v\n%s%s", strings.Join(args, " "), result.Status, err, result.Stdout, result.Stderr)
	}
	return result.Stdout
}

// posixCommand returns the command of one of the programs of e2e/posix.
func posixCommand(t *testing.T, dir string, args ...string) wire.Command {
	t.Helper()
	return wire.Command{
		Argv: append([]string{harness.Build(t, "e2e/posix")}, args...),
		Dir:  dir,
		// A signal to each thread that runs long costs much in a guest, and interrupts system calls.
		Env: []string{"GODEBUG=asyncpreemptoff=1"},
	}
}

// TestPOSIXSuiteHoldsLocally shows that the suite asks for nothing that a local file system does not do.
func TestPOSIXSuiteHoldsLocally(t *testing.T) {
	harness.Require(t)
	dir := t.TempDir()
	// The directory above is root's alone, and the suite acts as other users too.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(harness.Build(t, "e2e/posix"), "check", "-dir", dir).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPOSIXV3(t *testing.T) {
	s := setStage(t, quickly()...)
	guest, dir := s.mounted("alpha", "")
	t.Log(posix(t, guest, dir, "check", "-v", "-proto", "nfs3"))
}

// TestAccessControlLists: NFSv3 carries no lists, but the server's are obeyed.
func TestAccessControlLists(t *testing.T) {
	s := setStage(t)
	program := harness.Build(t, "e2e/posix")
	if out, err := exec.Command(program, "check", "-prepare-acl", s.dir).CombinedOutput(); err != nil {
		t.Skipf("no access control lists in %s: %s", s.dir, out)
	}
	guest, dir := s.mounted("alpha", "")
	posix(t, guest, dir, "check", "-verify-acl", dir)
}
