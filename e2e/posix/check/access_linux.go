package check

import (
	"golang.org/x/sys/unix"
)

var accessTests = []Test{
	{"access/file modes", accessFileModes},
	{"access/access(2)", accessCall},
	{"access/directory modes", accessDirectoryModes},
	{"access/owner class decides alone", accessFirstClass},
	{"access/sixteen groups", accessManyGroups},
	{"access/open file keeps its rights", accessAfterOpen},
}

// classes says which of the three classes of mode bits applies to a user for an object of alice's with her group.
var classes = []struct {
	user  user
	shift uint
}{{alice, 6}, {carol, 3}, {bob, 0}}

func accessFileModes(c *C) {
	file := c.fileOf("file", alice, 0)
	for bits := uint32(0); bits < 8; bits++ {
		for _, class := range classes {
			c.must(unix.Chmod(file, bits<<class.shift), "chmod")
			c.as(class.user, func() {
				for _, want := range []struct {
					flags int
					need  uint32
				}{{unix.O_RDONLY, 4}, {unix.O_WRONLY, 2}, {unix.O_RDWR, 6}, {unix.O_RDONLY | unix.O_TRUNC, 6}, {unix.O_WRONLY | unix.O_APPEND, 2}} {
					err := openClose(file, want.flags, 0)
					if bits&want.need == want.need {
						c.ok(err, "open %#o of mode %03o as %v", want.flags, bits<<class.shift, class.user)
					} else {
						c.fails(err, unix.EACCES, "open %#o of mode %03o as %v", want.flags, bits<<class.shift, class.user)
					}
				}
			})
		}
	}
}

func accessCall(c *C) {
	file := c.fileOf("file", alice, 0)
	for bits := uint32(0); bits < 8; bits++ {
		for _, class := range classes {
			c.must(unix.Chmod(file, bits<<class.shift), "chmod")
			c.as(class.user, func() {
				for ask := uint32(0); ask < 8; ask++ {
					err := unix.Access(file, ask)
					if bits&ask == ask {
						c.ok(err, "access %o of mode %03o as %v", ask, bits<<class.shift, class.user)
					} else {
						c.fails(err, unix.EACCES, "access %o of mode %03o as %v", ask, bits<<class.shift, class.user)
					}
				}
			})
		}
	}
	c.must(unix.Chmod(file, 0), "chmod")
	c.ok(unix.Access(file, unix.R_OK|unix.W_OK), "access of mode 000 as root")
	c.fails(unix.Access(file, unix.X_OK), unix.EACCES, "access X_OK of mode 000 as root")
	c.must(unix.Chmod(file, 0o001), "chmod")
	c.ok(unix.Access(file, unix.X_OK), "access X_OK of mode 001 as root")
}

func accessDirectoryModes(c *C) {
	dir := c.dir("dir", alice, 0o700)
	c.must(touch(dir+"/file", 0o644), "make file")
	for bits := uint32(0); bits < 8; bits++ {
		for _, class := range classes {
			c.must(unix.Chmod(dir, bits<<class.shift), "chmod")
			mode := bits << class.shift
			c.as(class.user, func() {
				_, err := listNames(dir)
				c.allowed(err, bits&4 != 0, "list mode %03o as %v", mode, class.user)
				c.allowed(unix.Lstat(dir+"/file", new(unix.Stat_t)), bits&1 != 0, "lstat in mode %03o as %v", mode, class.user)
				for _, kind := range []string{"regular", "directory", "fifo", "symlink"} {
					err := create(kind, dir+"/new")
					c.allowed(err, bits&3 == 3, "make a %s in mode %03o as %v", kind, mode, class.user)
					if err == nil {
						c.ok(remove(kind, dir+"/new"), "remove a %s in mode %03o as %v", kind, mode, class.user)
					}
				}
				err = unix.Rename(dir+"/file", dir+"/file2")
				c.allowed(err, bits&3 == 3, "rename in mode %03o as %v", mode, class.user)
				if err == nil {
					c.ok(unix.Rename(dir+"/file2", dir+"/file"), "rename back in mode %03o as %v", mode, class.user)
				} else {
					c.fails(unix.Unlink(dir+"/file"), unix.EACCES, "unlink in mode %03o as %v", mode, class.user)
				}
			})
		}
	}
}

// allowed checks for success or EACCES.
func (c *C) allowed(err error, want bool, format string, args ...any) {
	if want {
		c.ok(err, format, args...)
	} else {
		c.fails(err, unix.EACCES, format, args...)
	}
}

// accessFirstClass: an owner without rights has none, even if his group or all others have.
func accessFirstClass(c *C) {
	file := c.fileOf("file", alice, 0o077)
	c.as(alice, func() { c.fails(openClose(file, unix.O_RDONLY, 0), unix.EACCES, "open of mode 077 as the owner") })
	c.must(unix.Chmod(file, 0o707), "chmod")
	c.as(carol, func() { c.fails(openClose(file, unix.O_RDONLY, 0), unix.EACCES, "open of mode 707 as a group member") })
	c.as(bob, func() { c.ok(openClose(file, unix.O_RDWR, 0), "open of mode 707 as another") })
}

// accessManyGroups: AUTH_SYS carries sixteen groups; all of them count.
func accessManyGroups(c *C) {
	member := bob
	for i := range 16 {
		member.groups = append(member.groups, 61000+i)
	}
	for _, gid := range []int{61000, 61007, 61015} {
		file := c.file("file "+string(rune('a'+gid-61000)), 0o600, "content")
		c.give(file, user{uid: alice.uid, gid: gid}, 0o640)
		c.as(member, func() { c.ok(openClose(file, unix.O_RDONLY, 0), "open as a member of group %d", gid) })
		c.as(bob, func() { c.fails(openClose(file, unix.O_RDONLY, 0), unix.EACCES, "open as no member of group %d", gid) })
	}
}

// accessAfterOpen: what the open allowed stays allowed to the owner, whatever the mode becomes.
func accessAfterOpen(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.as(alice, func() {
		fd := c.open(dir+"/file", unix.O_CREAT|unix.O_RDWR, 0)
		defer unix.Close(fd)
		_, err := unix.Write(fd, []byte("hello"))
		c.ok(err, "write to a file created with mode 000")
		c.ok(unix.Fsync(fd), "fsync of a file created with mode 000")
		c.ok(unix.Ftruncate(fd, 4), "ftruncate of a file created with mode 000")
		buf := make([]byte, 8)
		n, err := unix.Pread(fd, buf, 0)
		c.ok(err, "read of a file created with mode 000")
		c.that(string(buf[:max(n, 0)]) == "hell", "content %q", buf[:max(n, 0)])
		c.fails(openClose(dir+"/file", unix.O_RDONLY, 0), unix.EACCES, "open of mode 000 as the owner")
	})
}
