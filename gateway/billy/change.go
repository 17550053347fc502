package billy

import (
	"os"
	"time"

	"causeway"
)

// set changes attributes of what a path leads to.
func (fs *Filesystem) set(op, name string, follow bool, set *causeway.SetAttr) error {
	at, err := fs.find(name, follow)
	if err == nil {
		_, err = fs.access.SetAttr(fs.ctx, fs.as(), at.Handle, set, nil)
	}
	return failed(op, name, err)
}

// Chmod changes the mode.
func (fs *Filesystem) Chmod(name string, mode os.FileMode) error {
	return fs.set("chmod", name, true, &causeway.SetAttr{Mask: causeway.SetMode, Mode: modeOf(mode)})
}

// Chown changes owner and group; -1 leaves one as it is.
func (fs *Filesystem) Chown(name string, uid, gid int) error {
	return fs.set("chown", name, true, owner(uid, gid))
}

// Lchown is Chown of a symbolic link itself.
func (fs *Filesystem) Lchown(name string, uid, gid int) error {
	return fs.set("lchown", name, false, owner(uid, gid))
}

func owner(uid, gid int) *causeway.SetAttr {
	set := &causeway.SetAttr{UID: uint32(uid), GID: uint32(gid)}
	if uid != -1 {
		set.Mask |= causeway.SetUID
	}
	if gid != -1 {
		set.Mask |= causeway.SetGID
	}
	return set
}

// Chtimes changes the times of access and modification; a zero time leaves one as it is.
func (fs *Filesystem) Chtimes(name string, atime, mtime time.Time) error {
	set := &causeway.SetAttr{Atime: causeway.TimeOf(atime), Mtime: causeway.TimeOf(mtime)}
	if !atime.IsZero() {
		set.Mask |= causeway.SetAtime
	}
	if !mtime.IsZero() {
		set.Mask |= causeway.SetMtime
	}
	return fs.set("chtimes", name, true, set)
}
