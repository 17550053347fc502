package harness

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

//go:embed shim/fpregs.c
var shimSource []byte

// binaries is where this test process builds programs; Main removes it.
var binaries = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "causeway-e2e-bin-") })

// Main runs the tests of a package and removes what the harness built for them: call it from TestMain.
func Main(m *testing.M) {
	status := m.Run()
	if dir, err := binaries(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// built maps a package of this module to a function that builds its command once.
var built sync.Map

// Build returns the path of the static binary of a command of this module, as "cmd/causeway"; it is built once per test
// process.
func Build(t testing.TB, command string) string {
	t.Helper()
	once, _ := built.LoadOrStore(command, sync.OnceValues(func() (string, error) { return buildCommand(command) }))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func buildCommand(command string) (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, strings.ReplaceAll(command, "/", "-"))
	build := exec.Command("go", "build", "-o", path, "causeway/"+command)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", command, err, out)
	}
	return path, nil
}

// shim returns the path of the library that lets User-mode Linux run on processors with large XSAVE areas.
var shim = sync.OnceValues(func() (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	source, library := filepath.Join(dir, "fpregs.c"), filepath.Join(dir, "fpregs.so")
	if err := os.WriteFile(source, shimSource, 0o644); err != nil {
		return "", err
	}
	if out, err := exec.Command("gcc", "-O2", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile the shim of User-mode Linux: %w\n%s", err, out)
	}
	return library, nil
})
