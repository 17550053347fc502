package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
)

// Sizes is how much a directory holds before anything is measured, and how much is put into new files.
type Sizes struct {
	Data  int64 // the file that is read at random and in sequence
	Write int64 // the file that is overwritten at random
	Over  int64 // each of the files that are overwritten in sequence, one per call outstanding
	New   int64 // each file that is made and written in sequence
	Names int   // files that are looked up and asked for attributes
	Many  int   // files of the directory that is listed
}

// Standard is what the table of targets is about.
var Standard = Sizes{Data: 256 << 20, Write: 128 << 20, Over: 32 << 20, New: 64 << 20, Names: 1000, Many: 10000}

// overFiles bounds how many files of Sizes.Over there can be.
const overFiles = 64

// Tree is the directory that a server exports.
type Tree struct {
	Dir      string
	UID, GID int // who owns everything and makes all calls
	Sizes    Sizes
	Keep     bool // leave what workloads have made: an ext4 that gives numbers of removed files out again is slow at it
	runs     atomic.Int64
}

// Prepare makes what is missing.
func (t *Tree) Prepare() error {
	if err := spread(t.Dir); err != nil {
		return err
	}
	for name, size := range map[string]int64{"data": t.Sizes.Data, "write": t.Sizes.Write} {
		if err := t.file(name, size); err != nil {
			return err
		}
	}
	for name, count := range map[string]int{"names": t.Sizes.Names, "many": t.Sizes.Many} {
		if err := t.files(name, count); err != nil {
			return err
		}
	}
	return os.Chown(t.Dir, t.UID, t.GID)
}

// path names something in the tree on this machine.
func (t *Tree) path(elements ...string) string {
	return filepath.Join(append([]string{t.Dir}, elements...)...)
}

// file makes a file of the pattern unless it is there.
func (t *Tree) file(name string, size int64) error {
	full := t.path(name)
	if info, err := os.Stat(full); err == nil && info.Size() == size {
		return nil
	}
	if err := writeFile(full, size); err != nil {
		return err
	}
	return os.Chown(full, t.UID, t.GID)
}

// files makes a directory of count empty files unless it is there.
func (t *Tree) files(dir string, count int) error {
	full := t.path(dir)
	if entries, err := os.ReadDir(full); err == nil && len(entries) == count {
		return nil
	}
	if err := os.RemoveAll(full); err != nil {
		return err
	}
	if err := os.Mkdir(full, 0o755); err != nil {
		return err
	}
	for i := range count {
		if err := t.empty(filepath.Join(full, fileName(0, i))); err != nil {
			return err
		}
	}
	return os.Chown(full, t.UID, t.GID)
}

func (t *Tree) empty(full string) error {
	file, err := os.OpenFile(full, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Chown(full, t.UID, t.GID)
}

// fresh makes a new directory and returns its name.
func (t *Tree) fresh() (string, error) {
	name := fmt.Sprintf("run-%d-%d", os.Getpid(), t.runs.Add(1))
	if err := os.Mkdir(t.path(name), 0o755); err != nil {
		return "", err
	}
	return name, os.Chown(t.path(name), t.UID, t.GID)
}

// fileName is the name of the i-th file of a connection.
func fileName(connection, i int) string { return fmt.Sprintf("file-%02d-%07d", connection, i) }
