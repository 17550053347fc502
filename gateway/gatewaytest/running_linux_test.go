package gatewaytest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"causeway"
	"causeway/backend/posix"
	"causeway/gateway/gatewaytest"
)

// TestRunningProgram: a file that the system lets nobody write, here a program that runs on the server, can be read all the same,
// and is written as soon as that may be.
func TestRunningProgram(t *testing.T) {
	dir := t.TempDir()
	s, err := posix.Open(t.Context(), dir, posix.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := engines(t, s, false)
	text, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(dir, "cat")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	program := exec.Command(path)
	input, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	me := gatewaytest.User(uint32(os.Geteuid()), uint32(os.Getegid()))
	e, _, err := f.Access.Lookup(t.Context(), me, root(t, f), "cat")
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 100)
	if r, err := f.Transfer.Read(t.Context(), me, e.Handle, 0, head); err != nil || r.N != len(head) || string(head) != string(text[:100]) {
		t.Errorf("read %d bytes, %v", r.N, err)
	}
	write := func() error {
		_, err := f.Transfer.Write(t.Context(), me, e.Handle, 0, head, causeway.Unstable)
		return err
	}
	if err := write(); causeway.CodeOf(err) != causeway.ErrBusy {
		t.Errorf("written while it runs: %v", err)
	}
	input.Close()
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	if err := write(); err != nil {
		t.Errorf("written when it has ended: %v", err)
	}
}
