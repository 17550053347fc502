//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"causeway/e2e/harness"
)

// choose returns a number for the short and one for the long run of a test.
func choose(short, long int) int {
	if harness.Long() {
		return long
	}
	return short
}

// scale is choose for the flags of programs.
func scale(short, long int) string { return fmt.Sprint(choose(short, long)) }

// TestFileContent holds a file against a model, with the client's cache and without it.
func TestFileContent(t *testing.T) {
	s := setStage(t)
	guest, dir := s.mounted("alpha", "")
	posix(t, guest, dir, "fsx", "-runs", scale(2, 20), "-ops", scale(1000, 10000))
	guest.Sh("/", "umount "+dir)
	mount := s.server.Mount(volume)
	mount.Options = "noac,sync,rsize=4096,wsize=8192"
	guest.Mount(mount)
	posix(t, guest, dir, "fsx", "-seed", "1000", "-runs", scale(1, 5), "-ops", scale(300, 5000))
}

func TestManyProcesses(t *testing.T) {
	s := setStage(t)
	guest, dir := s.mounted("alpha", "")
	posix(t, guest, dir, "stress", "-processes", "8", "-ops", scale(150, 5000))
	if left := guest.MustRun(dir, "ls", "-A"); left != "" {
		t.Errorf("all was removed, and the mount still holds %q", left)
	}
}

// TestSameAsLocal does the same random operations through the mount and on a local file system: answers and tree agree,
// through the mount and on the server's side.
func TestSameAsLocal(t *testing.T) {
	s := setStage(t, quickly()...)
	guest, dir := s.mounted("alpha", "")
	program := harness.Build(t, "e2e/posix")
	// What the kernel forbids in sticky directories beside their rights is a setting of each machine.
	for _, setting := range []string{"protected_symlinks", "protected_hardlinks", "protected_regular", "protected_fifos"} {
		file := "/proc/sys/fs/" + setting
		value, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		guest.Sh("/", "echo "+strings.TrimSpace(string(value))+" >"+file)
	}
	for seed := range choose(2, 20) {
		name := fmt.Sprint("seed-", seed)
		local := filepath.Join(t.TempDir(), name)
		for _, made := range []string{local, filepath.Join(s.dir, name)} {
			if err := os.Mkdir(made, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		arguments := []string{"replay", "-seed", fmt.Sprint(seed), "-ops", scale(1500, 6000)}
		want, err := exec.Command(program, append(arguments, "-dir", local)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		got := posix(t, guest, dir, append(arguments, "-dir", filepath.Join(dir, name))...)
		compareLines(t, name+" through the mount", got, string(want))
		tree, err := exec.Command(program, "tree", "-dir", filepath.Join(s.dir, name)).Output()
		if err != nil || !bytes.HasSuffix(want, tree) {
			t.Errorf("%s: the tree on the server's side differs, %v", name, err)
		}
	}
}

// compareLines fails the test with the first line that differs.
func compareLines(t *testing.T, what, got, want string) {
	t.Helper()
	gotLines, wantLines := lines(got), lines(want)
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			t.Errorf("%s, line %d:\n got %s\nwant %s", what, i, gotLines[i], wantLines[i])
			return
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Errorf("%s: %d lines, want %d", what, len(gotLines), len(wantLines))
	}
}

// TestLargeDirectory lists a directory through the mount while names come and go there and on the server's side.
func TestLargeDirectory(t *testing.T) {
	s := setStage(t, quickly()...)
	program, names := harness.Build(t, "e2e/posix"), choose(10000, 100000)
	count := fmt.Sprint(names)
	for _, made := range []string{"there", "server"} {
		if err := os.Mkdir(filepath.Join(s.dir, made), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, "dirs", "-fill", "-count", count, "-dir", filepath.Join(s.dir, made)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	guest, dir := s.mounted("alpha", "")
	posix(t, guest, dir, "dirs", "-count", count, "-rounds", scale(3, 10), "-dir", filepath.Join(dir, "there"))
	local := exec.CommandContext(t.Context(), program, "dirs", "-count", count, "-rounds", "100000", "-dir", filepath.Join(s.dir, "server"))
	if err := local.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { local.Process.Kill(); local.Wait() }()
	for range choose(3, 20) {
		seen := make(map[string]int)
		for _, name := range lines(guest.MustRun("/", "ls", "-f", filepath.Join(dir, "server"))) {
			seen[name]++
		}
		for i := range names {
			if name := fmt.Sprint("keep-", i); seen[name] != 1 {
				t.Fatalf("%s is listed %d times", name, seen[name])
			}
		}
	}
}
