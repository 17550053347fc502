package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func (d *Dir) read(name string, into any) error {
	text, err := os.ReadFile(d.Path(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is damaged (%w); restore it from a backup, or start with an empty state directory: clients then have to mount again", name, err)
	}
	return nil
}

// unfinished marks the name of a file that is being written.
const unfinished = ".new-"

// write replaces a file: after a crash the old or the new content stands there, whole.
func (d *Dir) write(name string, from any) error {
	text, err := json.MarshalIndent(from, "", "\t")
	if err != nil {
		return err
	}
	return Replace(d.Path(name), append(text, '\n'))
}

// Replace writes a file (0600) that replaces the one at path atomically, and returns when it is on stable storage.
func Replace(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+unfinished+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(dir)
}

// sweep removes what a crash in the middle of Replace left.
func (d *Dir) sweep() error {
	left, err := filepath.Glob(d.Path("*" + unfinished + "*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
