package check

import (
	"os"

	"golang.org/x/sys/unix"
)

var linkTests = []Test{
	{"link/effect", linkEffect},
	{"link/EEXIST", linkExists},
	{"link/directory", linkDirectory},
	{"link/EACCES", linkDenied},
	{"link/content", linkContent},
	{"link/many", linkMany},
}

func linkEffect(c *C) {
	target := c.make("directory", "target")
	for _, kind := range kinds {
		if kind == "directory" {
			continue
		}
		one, two := c.make(kind, "one"), target+"/two"
		before := c.stat(one)
		c.changes(target, "mc", "link of a "+kind, func() {
			c.changes(one, "c", "link of a "+kind, func() { c.must(unix.Link(one, two), "link of a %s", kind) })
		})
		after, other := c.stat(one), c.stat(two)
		c.that(after.Nlink == 2 && other.Nlink == 2, "nlink %d and %d of a %s", after.Nlink, other.Nlink, kind)
		c.that(other.Ino == before.Ino && after.Ino == before.Ino, "inode numbers of a %s: %d, %d, %d", kind, before.Ino, after.Ino, other.Ino)
		c.that(other.Mode == before.Mode && other.Uid == before.Uid && other.Rdev == before.Rdev, "attributes of a linked %s", kind)
		c.changes(two, "c", "unlink of the other name of a "+kind, func() { c.must(unix.Unlink(one), "unlink") })
		c.that(c.stat(two).Nlink == 1, "nlink %d of a %s", c.stat(two).Nlink, kind)
		c.must(unix.Unlink(two), "unlink")
	}
}

func linkExists(c *C) {
	source := c.file("source", 0o644, "")
	for _, kind := range kinds {
		path := c.make(kind, "existing "+kind)
		c.changes(source, "", "failed link", func() { c.fails(unix.Link(source, path), unix.EEXIST, "link to a %s", kind) })
		c.that(c.stat(source).Nlink == 1, "nlink %d after a failed link", c.stat(source).Nlink)
	}
	c.fails(unix.Link(source, source), unix.EEXIST, "link to itself")
}

func linkDirectory(c *C) {
	c.fails(unix.Link(c.make("directory", "dir"), c.path("new")), unix.EPERM, "link of a directory")
	c.missing(c.path("new"))
}

func linkDenied(c *C) {
	mine, theirs := c.dir("alice's", alice, 0o755), c.dir("bob's", bob, 0o755)
	c.as(alice, func() {
		c.must(touch(mine+"/file", 0o666), "make file")
		c.fails(unix.Link(mine+"/file", theirs+"/new"), unix.EACCES, "link into a directory of another")
		c.ok(unix.Link(mine+"/file", mine+"/new"), "link in the own directory")
	})
	c.must(unix.Chmod(mine, 0o644), "chmod")
	c.as(bob, func() {
		c.fails(unix.Link(mine+"/file", theirs+"/new"), unix.EACCES, "link from a directory without search")
	})
}

func linkContent(c *C) {
	one := c.file("one", 0o644, "first")
	c.must(unix.Link(one, c.path("two")), "link")
	c.must(os.WriteFile(c.path("two"), []byte("second!"), 0), "write")
	text, err := os.ReadFile(one)
	c.that(err == nil && string(text) == "second!", "content through the other name %q, %v", text, err)
	c.that(c.stat(one).Size == 7, "size through the other name %d", c.stat(one).Size)
	c.must(unix.Chmod(c.path("two"), 0o751), "chmod")
	c.that(c.mode(one) == 0o751, "mode through the other name %o", c.mode(one))
}

func linkMany(c *C) {
	const links = 200
	one := c.file("one", 0o644, "")
	dir := c.make("directory", "dir")
	for i := range links {
		c.must(unix.Link(one, dir+"/"+numbered(i)), "link %d", i)
	}
	c.that(c.stat(one).Nlink == links+1, "nlink %d, want %d", c.stat(one).Nlink, links+1)
	for i := range links {
		c.must(unix.Unlink(dir+"/"+numbered(i)), "unlink %d", i)
	}
	c.that(c.stat(one).Nlink == 1, "nlink %d, want 1", c.stat(one).Nlink)
}
