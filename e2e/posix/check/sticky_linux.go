package check

import (
	"golang.org/x/sys/unix"
)

var stickyTests = []Test{
	{"sticky/unlink", func(c *C) { stickyRemove(c, "regular") }},
	{"sticky/unlink symlink", func(c *C) { stickyRemove(c, "symlink") }},
	{"sticky/unlink fifo", func(c *C) { stickyRemove(c, "fifo") }},
	{"sticky/rmdir", func(c *C) { stickyRemove(c, "directory") }},
	{"sticky/rename", stickyRename},
	{"sticky/rename over", stickyRenameOver},
}

// stickyCases are the owners of a sticky directory and of an entry, and whether alice may take the entry's name away.
var stickyCases = []struct {
	dir, entry user
	allowed    bool
}{{alice, alice, true}, {alice, bob, true}, {bob, alice, true}, {bob, bob, false}, {bob, carol, false}}

// stickyRemove: only the owner of the entry, of the directory, and root take a name out of a sticky directory.
func stickyRemove(c *C, kind string) {
	for i, sticky := range stickyCases {
		dir := c.dir(numbered(i), sticky.dir, 0o1777)
		c.must(create(kind, dir+"/entry"), "make a %s", kind)
		c.must(unix.Lchown(dir+"/entry", sticky.entry.uid, sticky.entry.gid), "chown")
		c.as(alice, func() {
			err := remove(kind, dir+"/entry")
			if sticky.allowed {
				c.ok(err, "remove a %s of %v from a sticky directory of %v", kind, sticky.entry, sticky.dir)
			} else {
				c.failsWith(err, unix.EPERM, unix.EACCES, "remove a %s of %v from a sticky directory of %v", kind, sticky.entry, sticky.dir)
			}
		})
		if !sticky.allowed {
			c.ok(remove(kind, dir+"/entry"), "remove by root")
		}
	}
}

func stickyRename(c *C) {
	free := c.dir("free", alice, 0o777)
	for i, sticky := range stickyCases {
		for _, kind := range []string{"regular", "directory"} {
			dir := c.dir(numbered(i)+kind, sticky.dir, 0o1777)
			c.must(create(kind, dir+"/entry"), "make a %s", kind)
			// A directory may only move if it can be written itself.
			c.give(dir+"/entry", sticky.entry, 0o777)
			c.as(alice, func() {
				err := unix.Rename(dir+"/entry", free+"/moved")
				if sticky.allowed {
					c.ok(err, "rename a %s of %v out of a sticky directory of %v", kind, sticky.entry, sticky.dir)
					c.ok(remove(kind, free+"/moved"), "remove")
				} else {
					c.failsWith(err, unix.EPERM, unix.EACCES, "rename a %s of %v out of a sticky directory of %v", kind, sticky.entry, sticky.dir)
				}
			})
		}
	}
}

func stickyRenameOver(c *C) {
	free := c.dir("free", alice, 0o777)
	for i, sticky := range stickyCases {
		dir := c.dir(numbered(i), sticky.dir, 0o1777)
		c.must(touch(dir+"/entry", 0o644), "make file")
		c.must(unix.Chown(dir+"/entry", sticky.entry.uid, sticky.entry.gid), "chown")
		c.as(alice, func() {
			c.must(touchIfMissing(free+"/source"), "make source")
			err := unix.Rename(free+"/source", dir+"/entry")
			if sticky.allowed {
				c.ok(err, "rename over a file of %v in a sticky directory of %v", sticky.entry, sticky.dir)
			} else {
				c.failsWith(err, unix.EPERM, unix.EACCES, "rename over a file of %v in a sticky directory of %v", sticky.entry, sticky.dir)
			}
			c.ok(unix.Rename(free+"/"+sourceName(sticky.allowed, free), dir+"/new"), "rename into a free name of a sticky directory")
		})
	}
}

// sourceName makes sure that there is a file of the caller's to rename.
func sourceName(again bool, dir string) string {
	if again {
		touch(dir+"/source", 0o644)
	}
	return "source"
}
