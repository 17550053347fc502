package check

import (
	"os"

	"golang.org/x/sys/unix"
)

var setidTests = []Test{
	{"setid/write clears", setidWrite},
	{"setid/truncate clears", setidTruncate},
	{"setid/chown clears", setidChown},
	{"setid/inherited group", setidInherit},
	{"setid/kept by reading", setidRead},
}

// setidWrite: a program that somebody else changes loses its set-id bits.
func setidWrite(c *C) {
	for _, mode := range []uint32{0o4777, 0o2777, 0o6777} {
		file := c.fileOf("file", alice, mode)
		c.as(bob, func() {
			fd := c.open(file, unix.O_WRONLY, 0)
			_, err := unix.Write(fd, []byte("x"))
			c.ok(err, "write")
			c.ok(unix.Close(fd), "close")
		})
		c.that(c.mode(file) == 0o777, "mode %o of a file of mode %o that another wrote to", c.mode(file), mode)
		c.must(unix.Unlink(file), "unlink")
	}
}

func setidTruncate(c *C) {
	file := c.fileOf("file", alice, 0o6777)
	c.as(bob, func() { c.ok(unix.Truncate(file, 3), "truncate") })
	c.that(c.mode(file) == 0o777, "mode %o of a file that another truncated", c.mode(file))
	c.must(unix.Chmod(file, 0o6777), "chmod")
	c.as(bob, func() { c.ok(openClose(file, unix.O_WRONLY|unix.O_TRUNC, 0), "open O_TRUNC") })
	c.that(c.mode(file) == 0o777, "mode %o of a file that another opened with O_TRUNC", c.mode(file))
}

func setidChown(c *C) {
	file := c.fileOf("file", carol, 0o6755)
	c.as(carol, func() { c.ok(unix.Chown(file, -1, alice.gid), "chown") })
	c.that(c.mode(file) == 0o755, "mode %o after chown by the owner", c.mode(file))
	c.must(unix.Chmod(file, 0o6755), "chmod")
	c.ok(unix.Chown(file, alice.uid, alice.gid), "chown")
	c.that(c.mode(file) == 0o755, "mode %o after chown by root", c.mode(file))
	dir := c.dir("dir", alice, 0o2755)
	c.ok(unix.Chown(dir, bob.uid, bob.gid), "chown")
	c.that(c.mode(dir) == 0o2755, "mode %o of a directory after chown", c.mode(dir))
}

// setidInherit: what is made in a setgid directory has the directory's group, and directories the bit too.
func setidInherit(c *C) {
	dir := c.path("dir")
	c.must(unix.Mkdir(dir, 0o755), "mkdir")
	c.give(dir, user{uid: alice.uid, gid: 61234}, 0o2777)
	c.as(bob, func() {
		for _, kind := range []string{"regular", "directory", "fifo", "symlink"} {
			path := dir + "/" + kind
			c.ok(create(kind, path), "make a %s", kind)
			c.owner(path, bob.uid, 61234, "a "+kind+" in a setgid directory")
			want := uint32(0)
			if kind == "directory" {
				want = unix.S_ISGID
			}
			c.that(c.mode(path)&unix.S_ISGID == want, "mode %o of a %s in a setgid directory", c.mode(path), kind)
		}
	})
	plain := c.dir("plain", alice, 0o777)
	c.as(bob, func() { c.ok(touch(plain+"/file", 0o644), "create") })
	c.owner(plain+"/file", bob.uid, bob.gid, "a file in a plain directory")
}

func setidRead(c *C) {
	file := c.fileOf("file", alice, 0o6755)
	c.as(bob, func() {
		_, err := os.ReadFile(file)
		c.ok(err, "read")
	})
	c.that(c.mode(file) == 0o6755, "mode %o of a file that another read", c.mode(file))
}
