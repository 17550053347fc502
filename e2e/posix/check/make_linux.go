package check

import (
	"os"

	"golang.org/x/sys/unix"
)

// kinds are all kinds of objects that a directory can hold.
var kinds = []string{"regular", "directory", "fifo", "socket", "character device", "block device", "symlink"}

// mode bits of stat by kind.
var formats = map[string]uint32{
	"regular": unix.S_IFREG, "directory": unix.S_IFDIR, "fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK,
	"character device": unix.S_IFCHR, "block device": unix.S_IFBLK, "symlink": unix.S_IFLNK,
}

// create makes an object of a kind with mode 0644, a directory with 0755; it fails when the name exists.
func create(kind, path string) error {
	switch kind {
	case "regular":
		return touch(path, 0o644)
	case "directory":
		return unix.Mkdir(path, 0o755)
	case "symlink":
		return unix.Symlink("nowhere", path)
	}
	return unix.Mknod(path, formats[kind]|0o644, int(unix.Mkdev(1, 3)))
}

// remove removes an object of a kind.
func remove(kind, path string) error {
	if kind == "directory" {
		return unix.Rmdir(path)
	}
	return unix.Unlink(path)
}

// touch makes an empty file.
func touch(path string, mode uint32) error {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, mode)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// make makes an object in the test's directory and returns its path.
func (c *C) make(kind, name string) string {
	path := c.path(name)
	c.must(create(kind, path), "make %s %s", kind, name)
	return path
}

// file makes a file with mode and content.
func (c *C) file(name string, mode uint32, content string) string {
	path := c.path(name)
	c.must(touch(path, mode), "make file %s", name)
	if content != "" {
		c.must(os.WriteFile(path, []byte(content), 0), "write %s", name)
	}
	return path
}

// dir makes a directory of a user with mode.
func (c *C) dir(name string, owner user, mode uint32) string {
	path := c.path(name)
	c.must(unix.Mkdir(path, 0o700), "make directory %s", name)
	c.give(path, owner, mode)
	return path
}

// give changes owner, group and mode of a path, which is no symbolic link.
func (c *C) give(path string, owner user, mode uint32) {
	c.must(unix.Lchown(path, owner.uid, owner.gid), "chown %s", path)
	c.must(unix.Chmod(path, mode), "chmod %s", path)
}

// fileOf makes a file of a user with mode.
func (c *C) fileOf(name string, owner user, mode uint32) string {
	path := c.file(name, 0o600, "content")
	c.give(path, owner, mode)
	return path
}

// open opens for the test's preparation; the caller closes the descriptor.
func (c *C) open(path string, flags int, mode uint32) int {
	fd, err := unix.Open(path, flags, mode)
	c.must(err, "open %s", path)
	return fd
}

// stat returns the attributes of the object itself, links not followed.
func (c *C) stat(path string) unix.Stat_t {
	var st unix.Stat_t
	c.must(unix.Lstat(path, &st), "lstat %s", path)
	return st
}

// missing checks that a name does not exist.
func (c *C) missing(path string) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	c.that(err == unix.ENOENT, "%s should not exist: %s", path, name(err))
}

// mode returns the permission bits, with set-id bits and sticky.
func (c *C) mode(path string) uint32 { return c.stat(path).Mode & 0o7777 }

// times are the three times of an object in nanoseconds.
type times struct{ access, modify, change int64 }

func (c *C) times(path string) times {
	st := c.stat(path)
	return times{st.Atim.Nano(), st.Mtim.Nano(), st.Ctim.Nano()}
}

// changes checks that act moves the times of path: those in moved to a later time, the others not at all. The letters are
// m and c.
func (c *C) changes(path, moved string, what string, act func()) {
	before := c.times(path)
	tick()
	act()
	after := c.times(path)
	c.moved(before.modify, after.modify, contains(moved, 'm'), what+": mtime of "+path)
	c.moved(before.change, after.change, contains(moved, 'c'), what+": ctime of "+path)
}

func contains(set string, letter rune) bool {
	for _, l := range set {
		if l == letter {
			return true
		}
	}
	return false
}

func (c *C) moved(before, after int64, want bool, what string) {
	c.that((after > before) == want && after >= before, "%s: before %d, after %d, should move: %v", what, before, after, want)
}
