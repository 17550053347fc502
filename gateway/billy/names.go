package billy

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/gateway"
)

// Stat describes what a path leads to.
func (fs *Filesystem) Stat(filename string) (os.FileInfo, error) {
	at, err := fs.find(filename, true)
	if err != nil {
		return nil, failed("stat", filename, err)
	}
	return infoOf(path.Base(filename), at.Attr), nil
}

// Lstat describes what a path names, a symbolic link itself.
func (fs *Filesystem) Lstat(filename string) (os.FileInfo, error) {
	at, err := fs.find(filename, false)
	if err != nil {
		return nil, failed("lstat", filename, err)
	}
	return infoOf(path.Base(filename), at.Attr), nil
}

// ReadDir lists a directory, sorted by name.
func (fs *Filesystem) ReadDir(dir string) ([]os.FileInfo, error) {
	at, err := fs.find(dir, true)
	if err != nil {
		return nil, failed("readdir", dir, err)
	}
	var found []os.FileInfo
	var bare []string // names whose attributes did not come with them
	_, _, err = fs.access.ReadDir(fs.ctx, fs.as(), at.Handle, 0, gateway.WantAttr, func(e *causeway.DirEntry) bool {
		switch {
		case e.Name == "." || e.Name == "..":
		case e.Attr.Valid():
			found = append(found, infoOf(strings.Clone(e.Name), e.Attr))
		default:
			bare = append(bare, strings.Clone(e.Name))
		}
		return true
	})
	for _, name := range bare {
		if entry, _, err := fs.access.Lookup(fs.ctx, fs.as(), at.Handle, name); err == nil {
			found = append(found, infoOf(name, entry.Attr))
		}
	}
	slices.SortFunc(found, func(a, b os.FileInfo) int { return cmp.Compare(a.Name(), b.Name()) })
	return found, failed("readdir", dir, err)
}

// MkdirAll makes a directory and those on the way to it.
func (fs *Filesystem) MkdirAll(dir string, perm os.FileMode) error {
	return failed("mkdir", dir, fs.mkdirs(path.Clean("/"+dir), modeOf(perm)))
}

// Remove removes a file, a symbolic link or an empty directory.
func (fs *Filesystem) Remove(filename string) error {
	at, err := fs.find(filename, false)
	if err == nil && at.name == "" {
		err = causeway.ErrBusy
	}
	if err == nil {
		_, err = fs.access.Remove(fs.ctx, fs.as(), at.dir, at.name, gateway.RemoveAny)
	}
	return failed("remove", filename, err)
}

// Rename moves a name, and replaces what stood at the new one as rename(2) does.
func (fs *Filesystem) Rename(oldpath, newpath string) error {
	from, err := fs.find(oldpath, false)
	if err != nil {
		return failed("rename", oldpath, err)
	}
	to, err := fs.toMake(newpath, false)
	if err == nil && (from.name == "" || to.name == "") {
		err = causeway.ErrBusy
	}
	if err == nil {
		_, _, err = fs.access.Rename(fs.ctx, fs.as(), from.dir, from.name, to.dir, to.name)
	}
	return failed("rename", newpath, err)
}

// Symlink makes a symbolic link. The target is kept as it is.
func (fs *Filesystem) Symlink(target, link string) error {
	at, err := fs.toMake(link, false)
	if err == nil && at.exists {
		err = causeway.ErrExist
	}
	if err == nil {
		spec := &gateway.CreateSpec{Type: causeway.TypeSymlink, How: gateway.Guarded, Target: target,
			Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: causeway.ModePerm}}
		_, _, err = fs.access.Create(fs.ctx, fs.as(), at.dir, at.name, spec)
	}
	return failed("symlink", link, err)
}

// Readlink returns the target of a symbolic link.
func (fs *Filesystem) Readlink(link string) (string, error) {
	at, err := fs.find(link, false)
	if err != nil {
		return "", failed("readlink", link, err)
	}
	target, _, err := fs.access.ReadLink(fs.ctx, fs.as(), at.Handle)
	return target, failed("readlink", link, err)
}

// TempFile makes a file with a new name that begins with prefix, in the root if dir is empty, and opens it.
func (fs *Filesystem) TempFile(dir, prefix string) (billy.File, error) {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		name := path.Join("/", dir, prefix+hex.EncodeToString(b[:]))
		f, err := fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil || !errors.Is(err, os.ErrExist) {
			return f, err
		}
	}
}
