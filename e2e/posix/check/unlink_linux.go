package check

import (
	"golang.org/x/sys/unix"
)

var unlinkTests = []Test{
	{"unlink/effect", unlinkEffect},
	{"unlink/directory", unlinkDirectory},
	{"unlink/EACCES", unlinkDenied},
	{"unlink/open", unlinkOpen},
	{"unlink/open link", unlinkOpenLink},
	{"unlink/slash", unlinkSlash},
}

func unlinkEffect(c *C) {
	for _, kind := range kinds {
		if kind == "directory" {
			continue
		}
		path := c.make(kind, "victim")
		c.changes(c.Dir, "mc", "unlink of a "+kind, func() { c.ok(unix.Unlink(path), "unlink of a %s", kind) })
		c.missing(path)
		c.fails(unix.Unlink(path), unix.ENOENT, "second unlink of a %s", kind)
	}
}

func unlinkDirectory(c *C) {
	dir := c.make("directory", "dir")
	c.fails(unix.Unlink(dir), unix.EISDIR, "unlink of a directory")
	c.that(c.stat(dir).Mode&unix.S_IFMT == unix.S_IFDIR, "the directory is still there")
}

func unlinkDenied(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.must(touch(dir+"/file", 0o666), "make file")
	c.must(unix.Chown(dir+"/file", bob.uid, bob.gid), "chown")
	c.as(bob, func() {
		c.fails(unix.Unlink(dir+"/file"), unix.EACCES, "unlink of the own file in a directory of another")
	})
	c.as(alice, func() { c.ok(unix.Unlink(dir+"/file"), "unlink of a file of another in the own directory") })
}

func unlinkOpen(c *C) {
	file := c.file("file", 0o644, "content")
	fd := c.open(file, unix.O_RDWR, 0)
	defer unix.Close(fd)
	c.ok(unix.Unlink(file), "unlink of an open file")
	c.missing(file)
	var st unix.Stat_t
	c.ok(unix.Fstat(fd, &st), "fstat of an unlinked file")
	c.that(st.Nlink == 0, "nlink after unlink of an open file: %d", st.Nlink)
	_, err := unix.Pwrite(fd, []byte("CON"), 0)
	c.ok(err, "write to an unlinked file")
	c.ok(unix.Fsync(fd), "fsync of an unlinked file")
	buf := make([]byte, 16)
	n, err := unix.Pread(fd, buf, 0)
	c.that(err == nil && string(buf[:max(n, 0)]) == "CONtent", "content of an unlinked file: %q, %v", buf[:max(n, 0)], err)
	c.ok(unix.Ftruncate(fd, 2), "ftruncate of an unlinked file")
	c.ok(touch(file, 0o600), "create the name again")
	c.that(c.stat(file).Size == 0 && c.stat(file).Ino != st.Ino, "the new file is another one")
}

func unlinkOpenLink(c *C) {
	one := c.file("one", 0o644, "content")
	c.must(unix.Link(one, c.path("two")), "link")
	fd := c.open(one, unix.O_RDWR, 0)
	defer unix.Close(fd)
	c.ok(unix.Unlink(one), "unlink of one name of an open file")
	var st unix.Stat_t
	c.ok(unix.Fstat(fd, &st), "fstat")
	c.that(c.stat(c.path("two")).Ino == st.Ino, "the other name is the same file")
	c.ok(unix.Unlink(c.path("two")), "unlink of the other name")
}

func unlinkSlash(c *C) {
	file := c.file("file", 0o644, "")
	c.fails(unix.Unlink(file+"/"), unix.ENOTDIR, "unlink of a file with a slash")
	c.must(unix.Symlink("file", c.path("link")), "make symlink")
	c.fails(unix.Unlink(c.path("link")+"/"), unix.ENOTDIR, "unlink of a symlink with a slash")
	c.ok(unix.Unlink(c.path("link")), "unlink of a symlink")
	c.stat(file)
}
