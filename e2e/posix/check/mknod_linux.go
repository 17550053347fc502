package check

import (
	"golang.org/x/sys/unix"
)

var mknodTests = []Test{
	{"mknod/effect", mknodEffect},
	{"mknod/EEXIST", mknodExists},
	{"mknod/EPERM", mknodPermission},
	{"mknod/EACCES", mknodDenied},
}

func mknodEffect(c *C) {
	for _, kind := range []string{"regular", "fifo", "socket", "character device", "block device"} {
		for _, device := range []uint64{unix.Mkdev(1, 3), unix.Mkdev(253, 255), unix.Mkdev(511, 70000)} {
			path := c.path("node")
			c.changes(c.Dir, "mc", "mknod", func() { c.must(unix.Mknod(path, formats[kind]|0o642, int(device)), "mknod of a %s", kind) })
			st := c.stat(path)
			c.that(st.Mode == formats[kind]|0o642, "mode %o of a %s", st.Mode, kind)
			if kind == "character device" || kind == "block device" {
				c.that(st.Rdev == device, "device number %#x of a %s, want %#x", st.Rdev, kind, device)
			}
			c.that(st.Nlink == 1 && st.Size == 0, "nlink %d, size %d of a %s", st.Nlink, st.Size, kind)
			c.must(unix.Unlink(path), "unlink")
		}
	}
}

func mknodExists(c *C) {
	for _, kind := range kinds {
		path := c.make(kind, "existing "+kind)
		c.fails(unix.Mkfifo(path, 0o644), unix.EEXIST, "mkfifo of an existing %s", kind)
		c.fails(unix.Mknod(path, unix.S_IFCHR|0o644, 0), unix.EEXIST, "mknod of an existing %s", kind)
	}
}

func mknodPermission(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.as(alice, func() {
		c.fails(unix.Mknod(dir+"/char", unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))), unix.EPERM, "mknod of a character device as a user")
		c.fails(unix.Mknod(dir+"/block", unix.S_IFBLK|0o644, int(unix.Mkdev(1, 3))), unix.EPERM, "mknod of a block device as a user")
		c.ok(unix.Mkfifo(dir+"/fifo", 0o600), "mkfifo as a user")
		c.ok(unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o600, 0), "mknod of a socket as a user")
	})
	c.missing(dir + "/char")
	c.missing(dir + "/block")
	for _, name := range []string{"fifo", "socket"} {
		st := c.stat(dir + "/" + name)
		c.that(int(st.Uid) == alice.uid && int(st.Gid) == alice.gid, "owner %d:%d of a %s made by %v", st.Uid, st.Gid, name, alice)
	}
}

func mknodDenied(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.as(bob, func() {
		c.fails(unix.Mkfifo(dir+"/fifo", 0o644), unix.EACCES, "mkfifo in a directory of another")
		c.fails(unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o644, 0), unix.EACCES, "mknod in a directory of another")
	})
}
