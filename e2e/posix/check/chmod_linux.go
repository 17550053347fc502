package check

import (
	"golang.org/x/sys/unix"
)

var chmodTests = []Test{
	{"chmod/effect", chmodEffect},
	{"chmod/follows symlinks", chmodFollows},
	{"chmod/EPERM", chmodPermission},
	{"chmod/setgid of a foreign group", chmodForeignGroup},
	{"chmod/fchmod", chmodDescriptor},
	{"chmod/all modes", chmodAll},
}

func chmodEffect(c *C) {
	for _, kind := range kinds {
		if kind == "symlink" {
			continue
		}
		path := c.make(kind, "a "+kind)
		for _, mode := range []uint32{0o111, 0o7777, 0, 0o640} {
			c.changes(path, "c", "chmod", func() { c.ok(unix.Chmod(path, mode), "chmod of a %s", kind) })
			c.that(c.mode(path) == mode, "mode %o of a %s, want %o", c.mode(path), kind, mode)
		}
	}
}

func chmodFollows(c *C) {
	file := c.file("file", 0o644, "")
	c.must(unix.Symlink("file", c.path("link")), "make symlink")
	before := c.stat(c.path("link")).Mode
	c.ok(unix.Chmod(c.path("link"), 0o321), "chmod of a symlink")
	c.that(c.mode(file) == 0o321, "mode %o of the target", c.mode(file))
	c.that(c.stat(c.path("link")).Mode == before, "the symlink keeps its mode")
}

func chmodPermission(c *C) {
	for _, kind := range []string{"regular", "directory", "fifo"} {
		path := c.make(kind, "a "+kind)
		c.give(path, alice, 0o666)
		for _, u := range []user{bob, carol} {
			c.as(u, func() {
				c.changes(path, "", "refused chmod", func() { c.fails(unix.Chmod(path, 0o777), unix.EPERM, "chmod of a %s of another", kind) })
			})
		}
		c.that(c.mode(path) == 0o666, "mode %o", c.mode(path))
		c.as(alice, func() { c.ok(unix.Chmod(path, 0o700), "chmod of the own %s", kind) })
		c.that(c.mode(path) == 0o700, "mode %o", c.mode(path))
	}
}

// chmodForeignGroup: a user cannot give a file the rights of a group that he is not in.
func chmodForeignGroup(c *C) {
	file := c.file("file", 0o644, "")
	c.give(file, user{uid: alice.uid, gid: bob.gid}, 0o644)
	c.as(alice, func() { c.ok(unix.Chmod(file, 0o2755), "chmod 2755 of the own file") })
	c.that(c.mode(file) == 0o755, "mode %o, setgid of a foreign group", c.mode(file))
	c.must(unix.Chown(file, alice.uid, alice.gid), "chown")
	c.as(alice, func() { c.ok(unix.Chmod(file, 0o2755), "chmod 2755 of the own file") })
	c.that(c.mode(file) == 0o2755, "mode %o, setgid of the own group", c.mode(file))
}

func chmodDescriptor(c *C) {
	file := c.file("file", 0o644, "")
	fd := c.open(file, unix.O_RDONLY, 0)
	defer unix.Close(fd)
	c.changes(file, "c", "fchmod", func() { c.ok(unix.Fchmod(fd, 0o123), "fchmod") })
	c.that(c.mode(file) == 0o123, "mode %o", c.mode(file))
	c.must(unix.Unlink(file), "unlink")
	c.ok(unix.Fchmod(fd, 0o321), "fchmod of an unlinked file")
	var st unix.Stat_t
	c.ok(unix.Fstat(fd, &st), "fstat")
	c.that(st.Mode&0o7777 == 0o321, "mode %o", st.Mode)
}

func chmodAll(c *C) {
	file := c.file("file", 0, "")
	for mode := uint32(0); mode < 0o10000; mode += 37 {
		c.must(unix.Chmod(file, mode), "chmod")
		c.that(c.mode(file) == mode, "mode %o, want %o", c.mode(file), mode)
	}
}
