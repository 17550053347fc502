package stress

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// owner works in a directory of its own, where every answer and all content is known.
type owner struct {
	dir    string
	random *rand.Rand
	files  map[string][]byte
}

func newOwner(dir string, random *rand.Rand) (*owner, error) {
	return &owner{dir: dir, random: random, files: make(map[string][]byte)}, os.Mkdir(dir, 0o755)
}

// any returns a name, of a file that exists if there is one and it is wanted.
func (o *owner) any() string {
	return filepath.Join(o.dir, fmt.Sprint("file-", o.random.IntN(40)))
}

func (o *owner) step() error {
	path := o.any()
	content, exists := o.files[path]
	switch o.random.IntN(6) {
	case 0, 1:
		return o.write(path)
	case 2:
		return o.verify(path)
	case 3:
		err := os.Remove(path)
		delete(o.files, path)
		return known(err, exists, "remove "+path)
	case 4:
		to := o.any()
		err := os.Rename(path, to)
		if exists && to != path {
			delete(o.files, path)
			o.files[to] = content
		}
		return known(err, exists, "rename "+path+" to "+to)
	}
	size := o.random.IntN(100000)
	if exists {
		o.files[path] = append(content, make([]byte, max(0, size-len(content)))...)[:size]
	}
	return known(os.Truncate(path, int64(size)), exists, "truncate "+path)
}

// known checks that a call succeeded if its subject exists, and else found nothing.
func known(err error, exists bool, what string) error {
	if exists && err != nil || !exists && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s, which exists: %v: %w", what, exists, errors.Join(err, errors.New("not the known answer")))
	}
	return nil
}

// write changes a part of a file, or makes it.
func (o *owner) write(path string) error {
	offset, data := o.random.IntN(60000), make([]byte, 1+o.random.IntN(40000))
	for i := range data {
		data[i] = byte(o.random.Uint32())
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	content := o.files[path]
	content = append(content, make([]byte, max(0, offset+len(data)-len(content)))...)
	copy(content[offset:], data)
	o.files[path] = content
	_, err = f.WriteAt(data, int64(offset))
	return errors.Join(err, f.Close())
}

func (o *owner) verify(path string) error {
	want, exists := o.files[path]
	got, err := os.ReadFile(path)
	if err := known(err, exists, "read "+path); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s has %d bytes that differ from the %d that were written", path, len(got), len(want))
	}
	return nil
}

// finish verifies all files and removes them.
func (o *owner) finish() error {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return err
	}
	if len(entries) != len(o.files) {
		return fmt.Errorf("%s holds %d names, want %d", o.dir, len(entries), len(o.files))
	}
	for path := range o.files {
		if err := o.verify(path); err != nil {
			return err
		}
	}
	return os.RemoveAll(o.dir)
}
