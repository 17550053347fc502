package pki

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// writing is the environment variable that makes TestReplaceIsKilled replace a file for ever.
const writing = "CAUSEWAY_TEST_REPLACE"

// TestReplaceIsKilled kills a process again and again that replaces a file: it is always whole, and nothing gathers beside it.
func TestReplaceIsKilled(t *testing.T) {
	if path := os.Getenv(writing); path != "" {
		for n := byte(0); ; n++ {
			if err := Replace(path, bytes.Repeat([]byte{n}, 1<<16)); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "secret")
	for round := range 8 {
		c := exec.Command(os.Args[0], "-test.run=^TestReplaceIsKilled$")
		c.Env = append(os.Environ(), writing+"="+path)
		before, _ := os.ReadFile(path)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for now, begun := before, time.Now(); bytes.Equal(now, before); now, _ = os.ReadFile(path) { // it works
			if time.Sleep(time.Millisecond); time.Since(begun) > 20*time.Second {
				t.Fatal("nothing is written")
			}
		}
		time.Sleep(time.Duration(round) * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait()
		text, err := os.ReadFile(path)
		if err != nil || len(text) != 1<<16 || !bytes.Equal(text, bytes.Repeat(text[:1], len(text))) {
			t.Fatal(len(text), err)
		}
	}
	if err := Replace(path, []byte("last")); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Error(left, err)
	}
}
