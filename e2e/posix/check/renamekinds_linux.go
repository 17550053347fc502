package check

import (
	"golang.org/x/sys/unix"
)

var renameKindTests = []Test{
	{"rename/over every kind", renameOverKinds},
	{"rename/over a directory with content", renameOverFull},
	{"rename/ctime of the victim", renameVictim},
}

// renameOverKinds tries all pairs of kinds.
func renameOverKinds(c *C) {
	for _, from := range kinds {
		for _, to := range kinds {
			source, target := c.make(from, "source"), c.make(to, "target")
			inode := c.stat(source).Ino
			err := unix.Rename(source, target)
			switch {
			case from == "directory" && to != "directory":
				c.fails(err, unix.ENOTDIR, "rename of a %s over a %s", from, to)
			case from != "directory" && to == "directory":
				c.fails(err, unix.EISDIR, "rename of a %s over a %s", from, to)
			default:
				c.ok(err, "rename of a %s over a %s", from, to)
				c.that(c.stat(target).Ino == inode, "the %s has the place of the %s", from, to)
				c.missing(source)
				c.must(remove(from, target), "remove the target")
				continue
			}
			c.must(remove(from, source), "the source stays")
			c.must(remove(to, target), "the target stays")
		}
	}
}

func renameOverFull(c *C) {
	from, to := c.make("directory", "from"), c.make("directory", "to")
	c.must(touch(to+"/file", 0o644), "make file")
	c.failsWith(unix.Rename(from, to), unix.ENOTEMPTY, unix.EEXIST, "rename over a directory with content")
	c.stat(to + "/file")
	c.must(touch(from+"/file", 0o644), "make file")
	c.must(unix.Unlink(to+"/file"), "unlink")
	links := c.stat(c.Dir).Nlink
	c.ok(unix.Rename(from, to), "rename of a directory with content over an empty one")
	c.stat(to + "/file")
	c.that(c.stat(c.Dir).Nlink == links-1, "nlink of the parent %d, before %d", c.stat(c.Dir).Nlink, links)
}

// renameVictim: the file that loses a name to a rename has a change of attributes.
func renameVictim(c *C) {
	victim, from := c.file("victim", 0o644, "victim"), c.file("from", 0o644, "from")
	c.must(unix.Link(victim, c.path("other")), "link")
	c.changes(c.path("other"), "c", "rename over another name", func() { c.ok(unix.Rename(from, victim), "rename") })
	c.that(c.stat(c.path("other")).Nlink == 1, "nlink of the file that lost a name: %d", c.stat(c.path("other")).Nlink)
}
