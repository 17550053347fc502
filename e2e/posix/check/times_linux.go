package check

import (
	"os"

	"golang.org/x/sys/unix"
)

var timeTests = []Test{
	{"times/set", timesSet},
	{"times/omit", timesOmit},
	{"times/now", timesNow},
	{"times/symlink", timesSymlink},
	{"times/permission", timesPermission},
	{"times/errors", timesErrors},
	{"times/far", timesFar},
	{"times/write", timesWrite},
	{"times/read", timesRead},
}

var now = []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}

func at(seconds, nanoseconds int64) unix.Timespec {
	return unix.Timespec{Sec: seconds, Nsec: nanoseconds}
}

func (c *C) setTimes(path string, access, modify unix.Timespec, flags int) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{access, modify}, flags)
}

func (c *C) hasTimes(path string, access, modify unix.Timespec, what string) {
	st := c.stat(path)
	c.that(st.Atim == access && st.Mtim == modify, "%s: atime %v mtime %v, want %v %v", what, st.Atim, st.Mtim, access, modify)
}

func timesSet(c *C) {
	for _, kind := range kinds {
		path := c.make(kind, "a "+kind)
		access, modify := at(1000000001, 123456789), at(1500000002, 987654321)
		before := c.times(path)
		tick()
		c.ok(c.setTimes(path, access, modify, unix.AT_SYMLINK_NOFOLLOW), "utimensat of a %s", kind)
		c.hasTimes(path, access, modify, "a "+kind)
		c.that(c.times(path).change > before.change, "ctime of a %s moves", kind)
	}
}

func timesOmit(c *C) {
	file := c.file("file", 0o644, "")
	omit := unix.Timespec{Nsec: unix.UTIME_OMIT}
	c.must(c.setTimes(file, at(100, 1), at(200, 2), 0), "utimensat")
	c.ok(c.setTimes(file, omit, at(300, 3), 0), "utimensat without atime")
	c.hasTimes(file, at(100, 1), at(300, 3), "without atime")
	c.ok(c.setTimes(file, at(400, 4), omit, 0), "utimensat without mtime")
	c.hasTimes(file, at(400, 4), at(300, 3), "without mtime")
	c.changes(file, "", "utimensat of nothing", func() { c.ok(c.setTimes(file, omit, omit, 0), "utimensat of nothing") })
}

func timesNow(c *C) {
	file := c.file("file", 0o644, "")
	c.must(c.setTimes(file, at(100, 1), at(200, 2), 0), "utimensat")
	c.ok(c.setTimes(file, now[0], now[1], 0), "utimensat of now")
	c.must(touch(c.path("reference"), 0o644), "make file")
	got, reference := c.stat(file), c.stat(c.path("reference"))
	c.that(absolute(got.Mtim.Nano()-reference.Mtim.Nano()) < 60e9, "mtime %v, the clock has %v", got.Mtim, reference.Mtim)
	c.that(absolute(got.Atim.Nano()-reference.Mtim.Nano()) < 60e9, "atime %v, the clock has %v", got.Atim, reference.Mtim)
	c.must(c.setTimes(file, at(100, 1), at(200, 2), 0), "utimensat")
	c.ok(c.setTimes(file, unix.Timespec{Nsec: unix.UTIME_OMIT}, now[1], 0), "utimensat of mtime to now")
	c.that(c.stat(file).Atim == at(100, 1), "atime %v", c.stat(file).Atim)
	c.that(c.stat(file).Mtim.Sec > 1000, "mtime %v", c.stat(file).Mtim)
}

func timesSymlink(c *C) {
	file := c.file("file", 0o644, "")
	link := c.path("link")
	c.must(unix.Symlink("file", link), "make symlink")
	c.must(c.setTimes(file, at(100, 1), at(200, 2), 0), "utimensat")
	c.ok(c.setTimes(link, at(300, 3), at(400, 4), unix.AT_SYMLINK_NOFOLLOW), "utimensat of a symlink")
	c.that(c.stat(link).Mtim == at(400, 4), "mtime %v of the symlink", c.stat(link).Mtim)
	c.hasTimes(file, at(100, 1), at(200, 2), "the target keeps its times")
	c.ok(c.setTimes(link, at(500, 5), at(600, 6), 0), "utimensat through a symlink")
	c.hasTimes(file, at(500, 5), at(600, 6), "the target")
}

func timesPermission(c *C) {
	omit := unix.Timespec{Nsec: unix.UTIME_OMIT}
	file := c.fileOf("file", alice, 0o644)
	c.as(alice, func() {
		c.ok(c.setTimes(file, at(100, 1), at(200, 2), 0), "utimensat of the own file")
		c.ok(c.setTimes(file, now[0], now[1], 0), "utimensat to now of the own file")
	})
	c.as(bob, func() {
		c.fails(c.setTimes(file, at(100, 1), at(200, 2), 0), unix.EPERM, "utimensat of a file of another")
		c.fails(c.setTimes(file, now[0], now[1], 0), unix.EACCES, "utimensat to now of a file of another")
	})
	c.must(unix.Chmod(file, 0o646), "chmod")
	c.as(bob, func() {
		c.fails(c.setTimes(file, at(100, 1), at(200, 2), 0), unix.EPERM, "utimensat of a writable file of another")
		c.ok(c.setTimes(file, now[0], now[1], 0), "utimensat to now of a writable file of another")
		c.fails(c.setTimes(file, omit, now[1], 0), unix.EPERM, "utimensat of mtime alone to now of a writable file of another")
	})
	c.must(unix.Chmod(file, 0o444), "chmod")
	c.as(alice, func() { c.ok(c.setTimes(file, now[0], now[1], 0), "utimensat to now of an own file of mode 444") })
}

func timesErrors(c *C) {
	file := c.file("file", 0o644, "")
	c.fails(c.setTimes(file, at(1, 1000000000), at(1, 1), 0), unix.EINVAL, "utimensat with 10^9 nanoseconds")
	c.fails(c.setTimes(file, at(1, 1), at(1, -1), 0), unix.EINVAL, "utimensat with -1 nanoseconds")
	c.fails(c.setTimes(c.path("missing"), at(1, 1), at(1, 1), 0), unix.ENOENT, "utimensat of a missing name")
}

func timesFar(c *C) {
	file := c.file("file", 0o644, "")
	for _, seconds := range []int64{-1, -1000000000, 1<<32 + 5} {
		c.ok(c.setTimes(file, at(seconds, 7), at(seconds, 9), 0), "utimensat to %d s", seconds)
		c.hasTimes(file, at(seconds, 7), at(seconds, 9), "far times")
	}
}

func timesWrite(c *C) {
	file := c.file("file", 0o644, "content")
	c.changes(file, "mc", "write", func() { c.must(os.WriteFile(file, []byte("CONTENT"), 0), "write") })
	fd := c.open(file, unix.O_RDWR, 0)
	defer unix.Close(fd)
	c.changes(file, "mc", "write without truncation", func() {
		_, err := unix.Pwrite(fd, []byte("x"), 3)
		c.ok(err, "write")
		c.ok(unix.Fsync(fd), "fsync")
	})
	c.changes(file, "", "write of nothing", func() {
		_, err := unix.Pwrite(fd, nil, 0)
		c.ok(err, "write of nothing")
	})
}

func timesRead(c *C) {
	file := c.file("file", 0o644, "content")
	c.changes(file, "", "read", func() {
		_, err := os.ReadFile(file)
		c.ok(err, "read")
	})
	c.changes(c.Dir, "", "list", func() {
		_, err := listNames(c.Dir)
		c.ok(err, "list")
	})
}
