package check

import (
	"strings"

	"golang.org/x/sys/unix"
)

var symlinkTests = []Test{
	{"symlink/effect", symlinkEffect},
	{"symlink/EEXIST", symlinkExists},
	{"symlink/EACCES", symlinkDenied},
	{"symlink/readlink", symlinkRead},
	{"symlink/through", symlinkThrough},
}

func symlinkEffect(c *C) {
	for _, target := range []string{"x", "/absolute/path", "../../up", "with space", "\xff\xfe not UTF-8", strings.Repeat("t", 255), strings.Repeat("long/", 400), strings.Repeat("m", unix.PathMax-1)} {
		link := c.path("link")
		c.changes(c.Dir, "mc", "symlink", func() { c.must(unix.Symlink(target, link), "symlink of %d bytes", len(target)) })
		st := c.stat(link)
		c.that(st.Mode&unix.S_IFMT == unix.S_IFLNK, "mode %o", st.Mode)
		c.that(st.Size == int64(len(target)), "size %d of a symlink of %d bytes", st.Size, len(target))
		buf := make([]byte, unix.PathMax+1)
		n, err := unix.Readlink(link, buf)
		c.that(err == nil && string(buf[:max(n, 0)]) == target, "readlink of %d bytes: %d, %v", len(target), n, err)
		c.must(unix.Unlink(link), "unlink")
	}
	c.fails(unix.Symlink(strings.Repeat("m", unix.PathMax), c.path("link")), unix.ENAMETOOLONG, "symlink with a target of PATH_MAX bytes")
	c.fails(unix.Symlink("", c.path("link")), unix.ENOENT, "symlink with an empty target")
}

func symlinkExists(c *C) {
	for _, kind := range kinds {
		c.fails(unix.Symlink("target", c.make(kind, "existing "+kind)), unix.EEXIST, "symlink at an existing %s", kind)
	}
}

func symlinkDenied(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.as(bob, func() { c.fails(unix.Symlink("target", dir+"/link"), unix.EACCES, "symlink in a directory of another") })
	c.as(alice, func() { c.ok(unix.Symlink("target", dir+"/link"), "symlink in the own directory") })
	st := c.stat(dir + "/link")
	c.that(int(st.Uid) == alice.uid && int(st.Gid) == alice.gid, "owner %d:%d, made by %v", st.Uid, st.Gid, alice)
}

func symlinkRead(c *C) {
	for _, kind := range kinds {
		if kind != "symlink" {
			_, err := unix.Readlink(c.make(kind, "a "+kind), make([]byte, 8))
			c.fails(err, unix.EINVAL, "readlink of a %s", kind)
		}
	}
	c.must(unix.Symlink("target", c.path("link")), "make symlink")
	buf := make([]byte, 3)
	n, err := unix.Readlink(c.path("link"), buf)
	c.that(err == nil && n == 3 && string(buf) == "tar", "readlink into three bytes: %q, %v", buf[:max(n, 0)], err)
}

func symlinkThrough(c *C) {
	dir := c.make("directory", "dir")
	c.must(touch(dir+"/file", 0o640), "make file")
	c.must(unix.Symlink("dir", c.path("link")), "make symlink")
	c.that(c.stat(c.path("link", "file")).Ino == c.stat(dir+"/file").Ino, "lstat through a symlink to a directory")
	chain := "link"
	for i := range 30 {
		next := numbered(i)
		c.must(unix.Symlink(chain, c.path(next)), "make symlink")
		chain = next
	}
	c.that(c.stat(c.path(chain, "file")).Ino == c.stat(dir+"/file").Ino, "lstat through thirty symlinks")
	c.ok(unix.Chmod(c.path("link", "file"), 0o604), "chmod through a symlink")
	c.that(c.mode(dir+"/file") == 0o604, "mode %o", c.mode(dir+"/file"))
}
