package check

import (
	"golang.org/x/sys/unix"
)

var chownTests = []Test{
	{"chown/effect", chownEffect},
	{"chown/symlinks", chownSymlinks},
	{"chown/EPERM", chownPermission},
	{"chown/own groups", chownOwnGroups},
	{"chown/nothing", chownNothing},
	{"chown/fchown", chownDescriptor},
}

func (c *C) owner(path string, uid, gid int, what string) {
	st := c.stat(path)
	c.that(int(st.Uid) == uid && int(st.Gid) == gid, "%s: owner %d:%d, want %d:%d", what, st.Uid, st.Gid, uid, gid)
}

func chownEffect(c *C) {
	for _, kind := range kinds {
		path := c.make(kind, "a "+kind)
		c.changes(path, "c", "lchown", func() { c.ok(unix.Lchown(path, 123, 456), "lchown of a %s", kind) })
		c.owner(path, 123, 456, "lchown of a "+kind)
		c.ok(unix.Lchown(path, -1, 789), "lchown of the group of a %s", kind)
		c.owner(path, 123, 789, "lchown of the group of a "+kind)
		c.ok(unix.Lchown(path, 321, -1), "lchown of the owner of a %s", kind)
		c.owner(path, 321, 789, "lchown of the owner of a "+kind)
		c.ok(unix.Lchown(path, 4000000000, 4000000001), "lchown of a %s to great numbers", kind)
		c.owner(path, 4000000000, 4000000001, "lchown to great numbers")
	}
}

func chownSymlinks(c *C) {
	file := c.file("file", 0o644, "")
	link := c.path("link")
	c.must(unix.Symlink("file", link), "make symlink")
	c.ok(unix.Chown(link, 11, 12), "chown of a symlink")
	c.owner(file, 11, 12, "chown follows the link")
	c.owner(link, 0, 0, "chown leaves the link")
	c.ok(unix.Lchown(link, 21, 22), "lchown of a symlink")
	c.owner(link, 21, 22, "lchown changes the link")
	c.owner(file, 11, 12, "lchown leaves the target")
}

func chownPermission(c *C) {
	file := c.fileOf("file", alice, 0o666)
	c.as(alice, func() {
		c.changes(file, "", "refused chown", func() {
			c.fails(unix.Chown(file, bob.uid, -1), unix.EPERM, "chown to another user as the owner")
			c.fails(unix.Chown(file, -1, bob.gid), unix.EPERM, "chown to a foreign group as the owner")
			c.fails(unix.Chown(file, bob.uid, bob.gid), unix.EPERM, "chown to another user and group as the owner")
		})
	})
	c.as(bob, func() {
		c.fails(unix.Chown(file, bob.uid, -1), unix.EPERM, "chown of a file of another to oneself")
		c.fails(unix.Chown(file, -1, bob.gid), unix.EPERM, "chown of a file of another to the own group")
	})
	c.owner(file, alice.uid, alice.gid, "after refused calls")
}

func chownOwnGroups(c *C) {
	file := c.fileOf("file", carol, 0o644)
	c.as(carol, func() {
		c.ok(unix.Chown(file, -1, alice.gid), "chown to a supplementary group")
		c.ok(unix.Chown(file, carol.uid, carol.gid), "chown to the own uid and gid")
		c.ok(unix.Chown(file, carol.uid, alice.gid), "chown to the own uid and a supplementary group")
	})
	c.owner(file, carol.uid, alice.gid, "after changes by the owner")
	link := c.make("symlink", "link")
	c.must(unix.Lchown(link, carol.uid, carol.gid), "lchown")
	c.as(carol, func() { c.ok(unix.Lchown(link, -1, alice.gid), "lchown of the own symlink") })
	c.owner(link, carol.uid, alice.gid, "the own symlink")
}

func chownNothing(c *C) {
	file := c.fileOf("file", alice, 0o6755)
	c.ok(unix.Chown(file, -1, -1), "chown of nothing as root")
	c.as(alice, func() { c.ok(unix.Chown(file, -1, -1), "chown of nothing as the owner") })
	c.owner(file, alice.uid, alice.gid, "after chown of nothing")
}

func chownDescriptor(c *C) {
	file := c.file("file", 0o644, "")
	fd := c.open(file, unix.O_RDONLY, 0)
	defer unix.Close(fd)
	c.changes(file, "c", "fchown", func() { c.ok(unix.Fchown(fd, 31, 32), "fchown") })
	c.owner(file, 31, 32, "fchown")
	c.as(alice, func() { c.fails(unix.Fchown(fd, alice.uid, -1), unix.EPERM, "fchown of a file of another") })
}
