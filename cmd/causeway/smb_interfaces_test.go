package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLinkSpeed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"fast": "25000\n", "down": "-1\n", "odd": "full\n"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "speed"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]uint64{"fast": 25e9, "down": 0, "odd": 0, "none": 0} {
		if got := linkSpeed(dir, name); got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
}
