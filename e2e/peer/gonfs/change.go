package main

import (
	"os"
	"time"

	"github.com/go-git/go-billy/v5"
)

// changeable adds to osfs what SETATTR and CREATE need; go-billy leaves it to those who have a real file system.
type changeable struct{ billy.Filesystem }

var _ billy.Change = changeable{}

func (c changeable) path(name string) string { return c.Join(c.Root(), name) }

func (c changeable) Chmod(name string, mode os.FileMode) error { return os.Chmod(c.path(name), mode) }

func (c changeable) Lchown(name string, uid, gid int) error { return os.Lchown(c.path(name), uid, gid) }

func (c changeable) Chown(name string, uid, gid int) error { return os.Chown(c.path(name), uid, gid) }

func (c changeable) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(c.path(name), atime, mtime)
}
