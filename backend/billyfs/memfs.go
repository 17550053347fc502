package billyfs

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"causeway"
)

// Filesystems without times are taken for memfs, whose Rename (go-billy v5.9.2) has three faults: it takes every path that
// begins with the old one, as a string, for something below it, and loses it; it loses entries two levels below a
// directory; and what is renamed without having entries leaves a mark at its new path, also after it was removed, by which
// creating something in a directory there panics. What follows keeps out of the way of all of them: only what is not a
// directory is renamed, when nothing beside it is named alike, and directories are built anew. It is right, only slower,
// for any other filesystem.

// asideName is a name that no client uses.
const asideName = ".aside-0c1d9e5b7f3a2468"

// renameAround moves a name of a directory, while what is named alike is put aside.
func (s *Store) renameAround(dir, name, to string) error {
	found, err := s.longestFirst(dir)
	if err != nil {
		return err
	}
	aside := 0
	for _, fi := range found {
		other := fi.Name()
		if other == name || !strings.HasPrefix(other, name) {
			continue
		}
		place := join(dir, fmt.Sprintf("%s-%08x", asideName, aside))
		if err := s.relocate(join(dir, other), place); err != nil {
			return err
		}
		aside++
		defer func() { _ = s.relocate(place, join(dir, other)) }() // in memory: what could be moved can be moved back
	}
	return s.relocate(join(dir, name), to)
}

// relocate moves what nothing beside it is named like. A directory is made anew, and what is in it follows.
func (s *Store) relocate(from, to string) error {
	fi, err := s.fs.Lstat(from)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return s.fs.Rename(from, to)
	}
	if err := s.mkdirClean(to, fi.Mode()); err != nil {
		return err
	}
	found, err := s.longestFirst(from)
	if err != nil {
		return err
	}
	for _, fi := range found {
		if err := s.relocate(join(from, fi.Name()), join(to, fi.Name())); err != nil {
			return err
		}
	}
	return s.fs.Remove(from)
}

// longestFirst reads a directory so that no name is like one behind it.
func (s *Store) longestFirst(dir string) ([]os.FileInfo, error) {
	found, err := s.fs.ReadDir(dir)
	slices.SortFunc(found, func(a, b os.FileInfo) int { return cmp.Compare(len(b.Name()), len(a.Name())) })
	return found, err
}

// mkdirClean makes a directory at a path that may bear a mark: renaming something away from there takes it.
func (s *Store) mkdirClean(p string, mode os.FileMode) error {
	dir, name := path.Split(p)
	if dir = strings.TrimSuffix(dir, "/"); dir == "" {
		dir = rootPath
	}
	f, err := s.fs.OpenFile(p, os.O_RDWR|os.O_CREATE|os.O_EXCL, os.FileMode(causeway.ModePerm))
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	aside := join(dir, asideName)
	if err := s.renameAround(dir, name, aside); err != nil {
		return err
	}
	if err := s.fs.Remove(aside); err != nil {
		return err
	}
	if err := s.fs.MkdirAll(p, mode.Perm()); err != nil {
		return err
	}
	if err := s.chmod(p, mode|os.ModeDir); causeway.CodeOf(err) != causeway.ErrNotSupp {
		return err
	}
	return nil
}
