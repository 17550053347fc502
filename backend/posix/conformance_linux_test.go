package posix

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
)

// suite runs the conformance suite in fresh directories under base ("": the default place of temporary files).
func suite(t *testing.T, base string, cfg Config, caps backendtest.Caps) {
	dirs := map[causeway.VolumeID]string{}
	start := func(t testing.TB, dir string) backend.Store {
		s, err := Open(context.Background(), dir, cfg)
		if err != nil {
			t.Fatal(err)
		}
		dirs[s.VolumeID()] = dir
		return s
	}
	backendtest.Run(t, backendtest.Options{
		Caps: caps,
		New: func(t testing.TB) backend.Store {
			dir, err := os.MkdirTemp(base, "causeway-test-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			return start(t, dir)
		},
		Reopen: func(t testing.TB, s backend.Store) backend.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return start(t, dirs[s.(*Store).VolumeID()])
		},
	})
}

// needRoot skips what an unprivileged user cannot try.
func needRoot(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// asRoot is what the suite may expect of this process as root: as long as it has CAP_FSETID a write keeps set-user-id bits.
func asRoot() backendtest.Caps {
	caps := backendtest.Full
	caps.SetIDClear = !hasCap(21)
	return caps
}

func TestConformanceByHandle(t *testing.T) {
	needRoot(t)
	suite(t, "", Config{Identity: IdentityHandle}, asRoot())
}

func TestConformanceExclusive(t *testing.T) {
	needRoot(t)
	suite(t, "", Config{Identity: IdentityHandle, Exclusive: true}, asRoot())
}

func TestConformanceExclusiveByIndex(t *testing.T) {
	caps := asRoot()
	if os.Geteuid() != 0 {
		caps = asUser()
	}
	suite(t, "/dev/shm", Config{Identity: IdentityIndex, Exclusive: true}, caps)
}

func TestConformanceInMemory(t *testing.T) {
	needRoot(t)
	suite(t, "/dev/shm", Config{Identity: IdentityHandle}, asRoot())
}

func TestConformanceByIndex(t *testing.T) {
	caps := asRoot()
	if os.Geteuid() != 0 {
		caps = asUser()
	}
	suite(t, "", Config{Identity: IdentityIndex}, caps)
}

func TestConformanceByIndexInMemory(t *testing.T) {
	caps := asRoot()
	if os.Geteuid() != 0 {
		caps = asUser()
	}
	suite(t, "/dev/shm", Config{Identity: IdentityIndex}, caps)
}

// asUser is what the suite may expect without privileges.
func asUser() backendtest.Caps {
	caps := backendtest.Full
	caps.Devices, caps.Owners = false, false
	return caps
}

// TestUnprivileged runs this binary's tests of the index as another user.
func TestUnprivileged(t *testing.T) {
	needRoot(t)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := must[string](t)(os.MkdirTemp("/dev/shm", "causeway-test-"))
	t.Cleanup(func() { os.RemoveAll(dir) })
	copied := filepath.Join(dir, "posix.test") // where another user may execute it
	raw, err := os.ReadFile(binary)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(copied, raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "-test.run=^(TestConformanceByIndex|TestConformanceByIndexInMemory|TestLife)$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: causeway.Nobody, Gid: causeway.Nobody}}
	cmd.Dir = "/"
	cmd.Env = []string{"TMPDIR=/dev/shm", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("--- PASS: TestConformanceByIndex/")) {
		t.Fatalf("nothing ran:\n%s", out)
	}
}
