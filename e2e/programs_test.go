//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway/e2e/harness"
)

func TestDbench(t *testing.T) {
	harness.RequireProgram(t, "dbench", "dbench")
	s := setStage(t, quickly()...)
	guest, dir := s.mounted("alpha", "")
	out := guest.MustRun(dir, "dbench", "-t", scale(5, 60), "-c", "/usr/share/dbench/client.txt", "4")
	if !strings.Contains(out, "Throughput") {
		t.Errorf("dbench: %s", out)
	}
}

func TestFioVerifies(t *testing.T) {
	harness.RequireProgram(t, "fio", "fio")
	s := setStage(t)
	guest, dir := s.mounted("alpha", "")
	for _, mode := range []string{"randwrite", "write", "randrw"} {
		guest.MustRun(dir, "fio", "--name="+mode, "--rw="+mode, "--size="+scale(8, 128)+"m", "--bsrange=512-128k", "--numjobs=2",
			"--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--thread", "--ioengine=psync", "--fsync=64")
	}
}

// TestLibNFS runs the clients of libnfs, which speak the protocol without any kernel.
func TestLibNFS(t *testing.T) {
	harness.RequireProgram(t, "nfs-cp", "libnfs-utils")
	s := setStage(t)
	content := make([]byte, 5<<20+17)
	rand.Read(content)
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, content, 0o644); err != nil {
		t.Fatal(err)
	}
	client := s.network.Host()
	url := "nfs://" + s.host.Address.String() + "/" + volume + "/copied?version=3"
	client.MustRun("nfs-cp", source, url)
	if got, err := os.ReadFile(filepath.Join(s.dir, "copied")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("copied %d bytes of %d, %v", len(got), len(content), err)
	}
	if got := client.MustRun("nfs-cat", url); got != string(content) {
		t.Errorf("nfs-cat: %d bytes of %d", len(got), len(content))
	}
	if got := client.MustRun("nfs-ls", strings.Replace(url, "/copied", "/", 1)); !strings.Contains(got, "copied") {
		t.Errorf("nfs-ls: %q", got)
	}
	if result, err := client.Run(context.Background(), "nfs-cat", strings.Replace(url, "copied", "missing", 1)); err != nil || result.Status == 0 {
		t.Errorf("nfs-cat of a missing file: %+v, %v", result, err)
	}
}
