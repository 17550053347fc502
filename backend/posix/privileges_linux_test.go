package posix

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// childEnv tells the test binary that it is the subprocess that drops its privileges.
const childEnv = "CAUSEWAY_TEST_DROP_PRIVILEGES"

// TestPrivileges runs the tests below in a process that has dropped its privileges, as the server does. It is built without
// cgo, for only then can all threads be changed.
func TestPrivileges(t *testing.T) {
	needRoot(t)
	if os.Getenv(childEnv) != "" {
		t.Skip("already there")
	}
	binary := filepath.Join(t.TempDir(), "posix.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary, "-test.v", "-test.run=^(TestDropped.*|TestConformanceByHandle|TestConformanceByIndex)$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestDroppedSetIDs")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestMain drops the privileges of the subprocess before any test runs.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := DropPrivileges(); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func needDropped(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("runs in the subprocess of TestPrivileges")
	}
}

func TestDroppedSetIDs(t *testing.T) {
	needDropped(t)
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{})
	f, attr, err := s.Create(ctx, s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o6755, UID: 1000, GID: 2000})
	if err != nil || attr.Mode != 0o6755 || attr.UID != 1000 || attr.GID != 2000 {
		t.Fatalf("%+v, %v", attr, err)
	}
	o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
	defer o.Close()
	must[int](t)(o.WriteAt(ctx, []byte("x"), 0))
	if attr, _ = s.Stat(ctx, f); attr.Mode != 0o755 {
		t.Fatalf("mode %o after a write", attr.Mode)
	}
	// A set-group-id bit for a group that the process is not in: whether the caller may was decided above the store.
	if err := s.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o2755}); err != nil {
		t.Fatal(err)
	}
	if attr, _ = s.Stat(ctx, f); attr.Mode != 0o2755 {
		t.Fatalf("mode %o, want 2755", attr.Mode)
	}
	if err := s.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetSize, Size: 0}); err != nil {
		t.Fatal(err)
	}
	if attr, _ = s.Stat(ctx, f); attr.Mode != 0o755 {
		t.Fatalf("mode %o after a truncation", attr.Mode)
	}
}

func TestDroppedSetGIDDirectory(t *testing.T) {
	needDropped(t)
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{})
	spec := &backend.CreateSpec{Type: causeway.TypeDirectory, Mode: 0o2775, UID: 1000, GID: 2000}
	d, attr, err := s.Create(ctx, s.Root(), "d", spec)
	if err != nil || attr.Mode != 0o2775 {
		t.Fatalf("%+v, %v", attr, err)
	}
	for name, spec := range map[string]*backend.CreateSpec{
		"f": {Type: causeway.TypeRegular, Mode: 0o2755, UID: 1001, GID: 2000},
		"g": {Type: causeway.TypeRegular, Mode: 0o640, UID: 1001, GID: 3000},
		"d": {Type: causeway.TypeDirectory, Mode: 0o755, UID: 1001, GID: 2000},
		"p": {Type: causeway.TypeFIFO, Mode: 0o600, UID: 1001, GID: 2000},
	} {
		_, attr, err := s.Create(ctx, d, name, spec)
		if err != nil || attr.Mode != spec.Mode || attr.UID != spec.UID || attr.GID != spec.GID {
			t.Errorf("%s: %o %d:%d, %v; want %+v", name, attr.Mode, attr.UID, attr.GID, err, spec)
		}
	}
}

// TestDroppedThreads finds the process's own identity on every thread after many creations for others.
func TestDroppedThreads(t *testing.T) {
	needDropped(t)
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{})
	done := make(chan error)
	for g := range 8 {
		go func() {
			var err error
			for i := range 200 {
				name := string(rune('a'+g)) + string(rune('a'+i%26)) + string(rune('a'+i/26))
				_, attr, e := s.Create(ctx, s.Root(), name, &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o600, UID: uint32(1000 + g), GID: uint32(i)})
				if e != nil || attr.UID != uint32(1000+g) || attr.GID != uint32(i) {
					err = e
					t.Errorf("%s: %d:%d", name, attr.UID, attr.GID)
				}
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if err == nil && !bytes.Contains(status, []byte("Uid:\t0\t0\t0\t0")) {
			t.Errorf("thread %s: %s", task.Name(), status)
		}
	}
	if hasCap(unix.CAP_FSETID) || hasCap(unix.CAP_SYS_RESOURCE) || !hasCap(unix.CAP_DAC_OVERRIDE) {
		t.Error("the capabilities are not what is left by DropPrivileges")
	}
}
