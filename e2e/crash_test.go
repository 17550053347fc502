//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
	"causeway/e2e/posix/records"
)

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

const recordsPid = "/run/records.pid"

// TestKilledServerLosesNothing kills the server again and again while a client writes. What fsync and rename promised is
// there afterwards, and no call fails, since the mount is hard.
func TestKilledServerLosesNothing(t *testing.T) {
	s := setStage(t)
	guest, dir := s.mounted("alpha", "timeo=5,retrans=2")
	written := make(chan harness.Result, 1)
	writer := posixCommand(t, dir, "records", "-pid", recordsPid)
	go func() {
		result, err := guest.Run(t.Context(), writer)
		if err != nil {
			result.Stderr += err.Error()
		}
		written <- result
	}()
	kills := choose(6, 60)
	for kill := range kills {
		awaitProgress(t, s.dir)
		s.server.Kill()
		if kill%2 == 1 {
			time.Sleep(700 * time.Millisecond) // long enough for the client to send its calls again
		}
		s.server.Start()
	}
	awaitProgress(t, s.dir)
	guest.Sh("/", "kill -TERM $(cat "+recordsPid+")")
	result := <-written
	if result.Status != 0 {
		t.Fatalf("the writer failed with status %d: %s", result.Status, result.Stderr)
	}
	promises := records.ReadPromises(strings.NewReader(result.Stdout))
	t.Logf("%d kills, %d records, %d files", kills, promises.Records, promises.Files)
	config := records.Config{Dir: s.dir, Seed: 1, Size: 5000, Batch: 20}
	if err := records.Verify(config, promises); err != nil {
		t.Errorf("on the server's side: %v", err)
	}
	verify := posixCommand(t, dir, "records", "-verify")
	verify.Input = []byte(result.Stdout)
	if result, err := guest.Run(t.Context(), verify); err != nil || result.Status != 0 {
		t.Errorf("through the mount: status %d, %v, %s", result.Status, err, result.Stderr)
	}
}

// awaitProgress waits until the writer has made some more files, as seen on the server's side.
func awaitProgress(t *testing.T, dir string) {
	t.Helper()
	files := func() int {
		names, _ := filepath.Glob(filepath.Join(dir, "files", "file-*"))
		return len(names)
	}
	before := files()
	if err := harness.Poll(time.Minute, func() error {
		if now := files(); now < before+5 {
			return fmt.Errorf("%d files, %d before", now, before)
		}
		return nil
	}); err != nil {
		t.Fatalf("the writer makes no progress: %v", err)
	}
}

// TestRestartKeepsHandles stops the server in order and starts it again: what clients hold open stays good, also what was
// renamed meanwhile.
func TestRestartKeepsHandles(t *testing.T) {
	s := setStage(t)
	guest, dir := s.mounted("alpha", "timeo=5,retrans=2")
	guest.Sh(dir, "mkdir -p a/b; echo one >a/b/file; echo two >other")
	held := wire.Command{Dir: dir, Argv: []string{"/bin/sh", "-euc", `
		cd a/b; exec 5<file 6>>../../other
		touch /run/held; while [ ! -e /run/go ]; do sleep 0.05; done
		cat <&5; echo three >&6; pwd; ls; stat -c %i . file`}}
	result := make(chan harness.Result, 1)
	go func() {
		r, err := guest.Run(t.Context(), held)
		if err != nil {
			r.Stderr += err.Error()
		}
		result <- r
	}()
	guest.Sh("/", "while [ ! -e /run/held ]; do sleep 0.05; done")
	inode := strings.TrimSpace(guest.MustRun(dir, "stat", "-c", "%i", "a/b/file"))
	s.server.Stop()
	if err := os.Rename(filepath.Join(s.dir, "a"), filepath.Join(s.dir, "renamed")); err != nil {
		t.Fatal(err)
	}
	s.server.Start()
	guest.Sh("/", "touch /run/go")
	r := <-result
	if r.Status != 0 || !strings.HasPrefix(r.Stdout, "one\n") || !strings.Contains(r.Stdout, "\n"+inode+"\n") {
		t.Errorf("status %d, %q, %q, inode %s", r.Status, r.Stdout, r.Stderr, inode)
	}
	if text, err := os.ReadFile(filepath.Join(s.dir, "other")); err != nil || string(text) != "two\nthree\n" {
		t.Errorf("%q, %v", text, err)
	}
}
