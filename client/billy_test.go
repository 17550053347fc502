package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
	"causeway/backend/billyfs"
	"causeway/client"
)

// TestConformance: a store in the library's files, which come over the network from a gateway, which has them from a store: the conformance suite of
// stores holds through all of it.
func TestConformance(t *testing.T) {
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	backendtest.Run(t, backendtest.Options{
		New: func(t testing.TB) backend.Store {
			w := newWorld(t, 2, nil)
			v := w.volume(w.dial(client.Config{UID: &uid, GID: &gid}, w.where...))
			s, err := billyfs.New(billyVolume{v}, billyfs.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Caps: backendtest.Caps{Symlinks: true, Modes: true, Times: true, StableTimes: true, Replace: true},
		Skip: func(name string) string {
			if testing.Short() && strings.HasPrefix(name, "List/10000 ") {
				return "it takes minutes with the race detector"
			}
			return ""
		},
	})
}

// billyVolume is a volume as a billy.Filesystem, as far as billyfs needs it.
type billyVolume struct{ *client.Volume }

var _ billy.Filesystem = billyVolume{}

type billyFile struct{ *client.File }

func (f billyFile) Lock() error   { return f.File.Lock(background, 0, 0) }
func (f billyFile) Unlock() error { return f.File.Unlock(background, 0, 0) }

func (v billyVolume) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	f, err := v.Volume.OpenFile(background, name, flag, perm)
	if flag&os.O_CREATE != 0 && errors.Is(err, fs.ErrNotExist) {
		if err := v.MkdirAll(path.Dir(name), 0o755); err != nil {
			return nil, err
		}
		f, err = v.Volume.OpenFile(background, name, flag, perm)
	}
	if err != nil {
		return nil, err
	}
	return billyFile{f}, nil
}

func (v billyVolume) Create(name string) (billy.File, error) {
	return v.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}
func (v billyVolume) Open(name string) (billy.File, error)   { return v.OpenFile(name, os.O_RDONLY, 0) }
func (v billyVolume) Stat(name string) (os.FileInfo, error)  { return v.Volume.Stat(background, name) }
func (v billyVolume) Lstat(name string) (os.FileInfo, error) { return v.Volume.Lstat(background, name) }
func (v billyVolume) Rename(from, to string) error           { return v.Volume.Rename(background, from, to) }
func (v billyVolume) Remove(name string) error               { return v.Volume.Remove(background, name) }
func (v billyVolume) Symlink(target, name string) error {
	return v.Volume.Symlink(background, target, name)
}
func (v billyVolume) Readlink(name string) (string, error) {
	return v.Volume.Readlink(background, name)
}
func (v billyVolume) Chmod(name string, mode os.FileMode) error {
	return v.Volume.Chmod(background, name, mode)
}
func (v billyVolume) Chtimes(name string, a, m time.Time) error {
	return v.Volume.Chtimes(background, name, a, m)
}
func (v billyVolume) Join(elements ...string) string              { return path.Join(elements...) }
func (v billyVolume) Root() string                                { return "/" }
func (v billyVolume) Chroot(string) (billy.Filesystem, error)     { return nil, billy.ErrNotSupported }
func (v billyVolume) TempFile(string, string) (billy.File, error) { return nil, billy.ErrNotSupported }

func (v billyVolume) ReadDir(name string) ([]os.FileInfo, error) {
	list, err := v.Volume.ReadDir(background, name)
	var out []os.FileInfo
	for _, e := range list {
		i, err := e.Info()
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, err
}

func (v billyVolume) MkdirAll(name string, perm os.FileMode) error {
	err := v.Mkdir(background, name, perm)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := v.MkdirAll(path.Dir(name), perm); err != nil {
			return err
		}
		return v.MkdirAll(name, perm)
	case errors.Is(err, fs.ErrExist):
		if i, statErr := v.Stat(name); statErr == nil && i.IsDir() {
			return nil
		}
	}
	return err
}

// TestFiles is what programs expect of files and names that the suite of stores does not ask for.
func TestFiles(t *testing.T) {
	w := newWorld(t, 2, nil)
	v := w.volume(w.dial(client.Config{}, w.where...))
	read := func(f *client.File) string {
		t.Helper()
		got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}

	// A name is replaced under an open file, which stays what it was.
	fine(t, v.WriteFile(background, "old", []byte("old"), 0o640), v.WriteFile(background, "new", []byte("new"), 0o600))
	old, err := v.OpenFile(background, "old", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fine(t, v.Rename(background, "new", "old"))
	if _, err := old.Stat(); !errors.Is(err, causeway.ErrStale) {
		t.Errorf("a file without a name is found: %v", err) // as over NFS without silly renames
	}
	if got, err := v.ReadFile(background, "old"); err != nil || string(got) != "new" {
		t.Error(string(got), err)
	}
	if i, err := v.Stat(background, "old"); err != nil || i.Mode() != 0o600 {
		t.Error(i, err)
	}
	_ = old.Close()

	fine(t, v.Chmod(background, "old", 0o640|fs.ModeSetuid|fs.ModeSticky))
	if i, err := v.Stat(background, "old"); err != nil || i.Mode() != 0o640|fs.ModeSetuid|fs.ModeSticky {
		t.Error(i, err)
	}

	// Holes read as zeros, and a file ends where it was cut.
	f, err := v.OpenFile(background, "sparse", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	const far = 5<<20 + 3
	if _, err := f.WriteAt([]byte("end"), far); err != nil {
		t.Fatal(err)
	}
	if got := read(f); len(got) != far+3 || got[far:] != "end" || len(bytes.Trim([]byte(got[:far]), "\x00")) != 0 {
		t.Errorf("%d bytes", len(got))
	}
	fine(t, f.Truncate(far+1), f.Truncate(far+4))
	if got := read(f); got[far:] != "e\x00\x00\x00" {
		t.Errorf("%q", got[far:])
	}
	fine(t, f.Truncate(0))
	if got := read(f); got != "" {
		t.Errorf("%q", got)
	}
	fine(t, f.Close())
	for _, err := range []error{f.Truncate(1), f.Sync(), f.Close()} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	}

	// A directory that takes many calls to list.
	fine(t, v.Mkdir(background, "many", 0o755))
	const many = 2500
	for i := range many {
		fine(t, v.Symlink(background, fmt.Sprint("target ", i), fmt.Sprintf("many/%04d", i)))
	}
	list, err := v.ReadDir(background, "many")
	if err != nil || len(list) != many {
		t.Fatal(len(list), err)
	}
	for i, e := range list {
		if e.Name() != fmt.Sprintf("%04d", i) || e.Type() != fs.ModeSymlink {
			t.Fatal(i, e)
		}
	}
	for err, want := range map[error]error{
		v.Remove(background, "many"):                             causeway.ErrNotEmpty,
		v.Mkdir(background, "many/0001/x", 0o755):                fs.ErrNotExist,
		v.Rename(background, "many", "many/x"):                   fs.ErrInvalid,
		v.Rename(background, "none", "x"):                        fs.ErrNotExist,
		v.Link(background, "many", "x"):                          fs.ErrPermission,
		v.WriteFile(background, string(make([]byte, 1)), nil, 0): fs.ErrInvalid,
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v, not %v", err, want)
		}
	}
}
