package check

import (
	"os"

	"golang.org/x/sys/unix"
)

var renameTests = []Test{
	{"rename/effect", renameEffect},
	{"rename/times of the parents", renameParents},
	{"rename/EACCES", renameDenied},
	{"rename/links of one file", renameSameFile},
	{"rename/into itself", renameIntoItself},
	{"rename/dots", renameDots},
	{"rename/move directory", renameMoveDirectory},
	{"rename/open target", renameOpenTarget},
	{"rename/ENOENT", renameMissing},
}

func renameEffect(c *C) {
	target := c.make("directory", "target")
	for _, kind := range kinds {
		from, to := c.make(kind, "from"), target+"/to"
		before := c.stat(from)
		c.ok(unix.Rename(from, to), "rename of a %s", kind)
		c.missing(from)
		after := c.stat(to)
		c.that(after.Ino == before.Ino && after.Mode == before.Mode && after.Rdev == before.Rdev && after.Nlink == before.Nlink,
			"a renamed %s: inode %d mode %o nlink %d, before %d %o %d", kind, after.Ino, after.Mode, after.Nlink, before.Ino, before.Mode, before.Nlink)
		c.must(remove(kind, to), "remove")
	}
}

func renameParents(c *C) {
	one, two := c.make("directory", "one"), c.make("directory", "two")
	c.must(touch(one+"/file", 0o644), "make file")
	c.changes(one, "mc", "rename away", func() {
		c.changes(two, "mc", "rename into", func() { c.ok(unix.Rename(one+"/file", two+"/file"), "rename") })
	})
	c.changes(one, "", "failed rename", func() {
		c.changes(two, "", "failed rename", func() { c.fails(unix.Rename(one+"/file", two+"/file"), unix.ENOENT, "rename of nothing") })
	})
}

func renameDenied(c *C) {
	mine, theirs := c.dir("alice's", alice, 0o755), c.dir("bob's", bob, 0o755)
	c.as(alice, func() {
		c.must(touch(mine+"/file", 0o644), "make file")
		c.must(unix.Mkdir(mine+"/dir", 0o755), "make directory")
		c.fails(unix.Rename(mine+"/file", theirs+"/file"), unix.EACCES, "rename into a directory of another")
		c.fails(unix.Rename(mine+"/dir", theirs+"/dir"), unix.EACCES, "rename of a directory into one of another")
	})
	c.as(bob, func() {
		c.fails(unix.Rename(mine+"/file", theirs+"/file"), unix.EACCES, "rename out of a directory of another")
		c.fails(unix.Rename(mine+"/file", mine+"/renamed"), unix.EACCES, "rename within a directory of another")
	})
	c.must(unix.Chmod(theirs, 0o777), "chmod")
	c.must(unix.Mkdir(mine+"/root's", 0o755), "make directory")
	c.as(alice, func() {
		c.fails(unix.Rename(mine+"/root's", theirs+"/root's"), unix.EACCES, "rename to another parent of a directory that may not be written")
		c.ok(unix.Rename(mine+"/root's", mine+"/still root's"), "rename in the same parent of a directory that may not be written")
		c.ok(unix.Rename(mine+"/file", theirs+"/file"), "rename into a directory that all may write")
	})
}

func renameSameFile(c *C) {
	one := c.file("one", 0o644, "content")
	two := c.path("two")
	c.must(unix.Link(one, two), "link")
	c.ok(unix.Rename(one, two), "rename between two names of a file")
	c.that(c.stat(one).Ino == c.stat(two).Ino && c.stat(one).Nlink == 2, "both names stay, nlink %d", c.stat(one).Nlink)
	c.ok(unix.Rename(one, one), "rename to itself")
	dir := c.make("directory", "dir")
	c.ok(unix.Rename(dir, dir), "rename of a directory to itself")
}

func renameIntoItself(c *C) {
	dir := c.make("directory", "dir")
	c.must(unix.Mkdir(dir+"/sub", 0o755), "make directory")
	c.fails(unix.Rename(dir, dir+"/new"), unix.EINVAL, "rename of a directory into itself")
	c.fails(unix.Rename(dir, dir+"/sub/new"), unix.EINVAL, "rename of a directory into its child")
	c.fails(unix.Rename(dir+"/sub", dir), unix.ENOTEMPTY, "rename of a directory over its parent")
}

func renameDots(c *C) {
	dir := c.make("directory", "dir")
	for _, dots := range []string{"/.", "/.."} {
		c.failsWith(unix.Rename(dir+dots, c.path("new")), unix.EBUSY, unix.EINVAL, "rename of %s", dots)
		c.failsWith(unix.Rename(c.make("directory", "other"+dots[1:]), dir+dots), unix.EBUSY, unix.EINVAL, "rename to %s", dots)
	}
}

func renameMoveDirectory(c *C) {
	one, two := c.make("directory", "one"), c.make("directory", "two")
	c.must(os.MkdirAll(one+"/moved/below", 0o755), "make directories")
	c.must(touch(one+"/moved/below/file", 0o644), "make file")
	links1, links2 := c.stat(one).Nlink, c.stat(two).Nlink
	c.ok(unix.Rename(one+"/moved", two+"/moved"), "rename of a directory with content")
	c.that(c.stat(one).Nlink == links1-1 && c.stat(two).Nlink == links2+1, "nlink of the parents: %d and %d, before %d and %d", c.stat(one).Nlink, c.stat(two).Nlink, links1, links2)
	c.that(c.stat(two+"/moved/..").Ino == c.stat(two).Ino, "the parent of a moved directory is the new one")
	c.stat(two + "/moved/below/file")
	c.missing(one + "/moved")
}

// renameOpenTarget: a file that is renamed over stays readable through its descriptor.
func renameOpenTarget(c *C) {
	to, from := c.file("to", 0o644, "old content"), c.file("from", 0o644, "new")
	fd := c.open(to, unix.O_RDONLY, 0)
	defer unix.Close(fd)
	c.ok(unix.Rename(from, to), "rename over an open file")
	buf := make([]byte, 32)
	n, err := unix.Pread(fd, buf, 0)
	c.that(err == nil && string(buf[:max(n, 0)]) == "old content", "content of the file that was renamed over: %q, %v", buf[:max(n, 0)], err)
	text, err := os.ReadFile(to)
	c.that(err == nil && string(text) == "new", "content under the name: %q, %v", text, err)
}

func renameMissing(c *C) {
	c.fails(unix.Rename(c.path("missing"), c.path("new")), unix.ENOENT, "rename of a missing name")
	c.missing(c.path("new"))
	file := c.file("file", 0o644, "")
	c.fails(unix.Rename(file, c.path("missing", "new")), unix.ENOENT, "rename into a missing directory")
	c.fails(unix.Rename(file+"/", c.path("new")), unix.ENOTDIR, "rename of a file with a slash")
	c.fails(unix.Rename(file, c.path("new")+"/"), unix.ENOTDIR, "rename of a file to a name with a slash")
	c.stat(file)
}
