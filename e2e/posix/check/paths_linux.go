package check

import (
	"strings"

	"golang.org/x/sys/unix"
)

var pathTests = []Test{
	{"path/ENOTDIR", pathNotDirectory},
	{"path/ENOENT", pathNoEntry},
	{"path/ENAMETOOLONG", pathNameTooLong},
	{"path/EACCES", pathSearchDenied},
	{"path/ELOOP", pathLoop},
	{"path/EFAULT", pathFault},
	{"path/empty", pathEmpty},
}

// call is a system call by the path that it resolves. makes: it makes the last component, which must not exist.
type call struct {
	name  string
	do    func(c *C, path string) error
	makes bool
}

var calls = []call{
	{"open", func(_ *C, p string) error { return openClose(p, unix.O_RDONLY, 0) }, false},
	{"open O_CREAT", func(_ *C, p string) error { return openClose(p, unix.O_CREAT|unix.O_WRONLY, 0o644) }, true},
	{"open O_EXCL", func(_ *C, p string) error { return touch(p, 0o644) }, true},
	{"open O_TRUNC", func(_ *C, p string) error { return openClose(p, unix.O_WRONLY|unix.O_TRUNC, 0) }, false},
	{"mkdir", func(_ *C, p string) error { return unix.Mkdir(p, 0o755) }, true},
	{"mkfifo", func(_ *C, p string) error { return unix.Mkfifo(p, 0o644) }, true},
	{"mknod", func(_ *C, p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o644, 0) }, true},
	{"symlink", func(_ *C, p string) error { return unix.Symlink("target", p) }, true},
	{"link to", func(c *C, p string) error { return unix.Link(c.path("source"), p) }, true},
	{"link from", func(c *C, p string) error { return unix.Link(p, c.path("new")) }, false},
	{"rename to", func(c *C, p string) error { return unix.Rename(c.path("source"), p) }, true},
	{"rename from", func(c *C, p string) error { return unix.Rename(p, c.path("new")) }, false},
	{"unlink", func(_ *C, p string) error { return unix.Unlink(p) }, false},
	{"rmdir", func(_ *C, p string) error { return unix.Rmdir(p) }, false},
	{"chmod", func(_ *C, p string) error { return unix.Chmod(p, 0o600) }, false},
	{"chown", func(_ *C, p string) error { return unix.Chown(p, -1, -1) }, false},
	{"lchown", func(_ *C, p string) error { return unix.Lchown(p, -1, -1) }, false},
	{"truncate", func(_ *C, p string) error { return unix.Truncate(p, 0) }, false},
	{"utimensat", func(_ *C, p string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, p, now, 0) }, false},
	{"stat", func(_ *C, p string) error { return unix.Stat(p, new(unix.Stat_t)) }, false},
	{"lstat", func(_ *C, p string) error { return unix.Lstat(p, new(unix.Stat_t)) }, false},
	{"access", func(_ *C, p string) error { return unix.Access(p, unix.F_OK) }, false},
	{"readlink", func(_ *C, p string) error { _, err := unix.Readlink(p, make([]byte, 64)); return err }, false},
	{"chdir", func(_ *C, p string) error { return openClose(p, unix.O_DIRECTORY, 0) }, false},
	{"statfs", func(_ *C, p string) error { return unix.Statfs(p, new(unix.Statfs_t)) }, false},
}

func openClose(path string, flags int, mode uint32) error {
	fd, err := unix.Open(path, flags, mode)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// each makes every call with a path and checks its error. The source of links and renames exists.
func (c *C) each(path string, want unix.Errno, what string) {
	c.must(create("regular", c.path("source")), "make source")
	for _, call := range calls {
		c.fails(call.do(c, path), want, "%s of %s", call.name, what)
	}
	c.stat(c.path("source"))
	c.missing(c.path("new"))
}

func pathNotDirectory(c *C) {
	c.file("file", 0o644, "")
	c.each(c.path("file", "x"), unix.ENOTDIR, "a name below a file")
	for _, kind := range []string{"fifo", "character device"} {
		path := c.make(kind, "not a directory: "+kind)
		c.fails(unix.Lstat(path+"/x", new(unix.Stat_t)), unix.ENOTDIR, "lstat below a %s", kind)
		c.fails(unix.Mkdir(path+"/x", 0o755), unix.ENOTDIR, "mkdir below a %s", kind)
	}
}

func pathNoEntry(c *C) {
	c.each(c.path("missing", "x"), unix.ENOENT, "a name below a missing one")
	for _, call := range calls {
		if !call.makes {
			c.fails(call.do(c, c.path("missing")), unix.ENOENT, "%s of a missing name", call.name)
		}
	}
	c.must(unix.Symlink("missing", c.path("dangling")), "make symlink")
	for _, call := range calls {
		switch call.name {
		case "open", "open O_TRUNC", "chmod", "chown", "truncate", "utimensat", "stat", "access", "chdir", "statfs":
			c.fails(call.do(c, c.path("dangling")), unix.ENOENT, "%s of a dangling symlink", call.name)
		}
	}
	c.ok(openClose(c.path("dangling"), unix.O_CREAT|unix.O_WRONLY, 0o644), "open O_CREAT through a dangling symlink")
	c.that(c.stat(c.path("missing")).Mode&unix.S_IFMT == unix.S_IFREG, "open O_CREAT through a symlink makes its target")
}

func pathNameTooLong(c *C) {
	long := strings.Repeat("n", 255)
	c.each(c.path(long+"n"), unix.ENAMETOOLONG, "a name of 256 bytes")
	for _, call := range calls {
		if call.makes {
			c.must(touchIfMissing(c.path("source")), "make source")
			c.ok(call.do(c, c.path(long)), "%s of a name of 255 bytes", call.name)
			c.must(removeAny(c.path(long)), "remove the name of 255 bytes")
		}
	}
	unix.Unlink(c.path("source")) // the last call may have renamed it away
	steps := strings.Repeat("/.", (unix.PathMax-len(c.Dir))/2)
	c.each(c.Dir+steps+"/xxx", unix.ENAMETOOLONG, "a path longer than PATH_MAX")
	full := c.Dir + strings.Repeat("/", unix.PathMax-1-len(c.Dir)-len("x")) + "x"
	c.ok(touch(full, 0o644), "create with a path of PATH_MAX-1 bytes")
	c.ok(unix.Unlink(full), "unlink with a path of PATH_MAX-1 bytes")
}

func touchIfMissing(path string) error {
	if err := touch(path, 0o644); err != unix.EEXIST {
		return err
	}
	return nil
}

func removeAny(path string) error {
	if err := unix.Unlink(path); err != unix.EISDIR {
		return err
	}
	return unix.Rmdir(path)
}

func pathSearchDenied(c *C) {
	closed := c.dir("closed", alice, 0o777)
	open := c.dir("open", alice, 0o777)
	for _, name := range []string{"file", "dir"} {
		kind := map[string]string{"file": "regular", "dir": "directory"}[name]
		c.must(create(kind, closed+"/"+name), "make %s", name)
		c.must(unix.Chmod(closed+"/"+name, 0o777), "chmod %s", name)
	}
	c.must(touch(open+"/source", 0o666), "make source")
	inner := &C{Dir: open}
	c.must(unix.Chmod(closed, 0o644), "chmod closed")
	for _, u := range []user{alice, bob} {
		c.as(u, func() {
			for _, call := range calls {
				path := closed + "/file"
				switch {
				case call.makes:
					path = closed + "/new"
				case call.name == "rmdir" || call.name == "chdir":
					path = closed + "/dir"
				}
				c.fails(call.do(inner, path), unix.EACCES, "%s below a directory without search, as %v", call.name, u)
			}
		})
	}
}

func pathLoop(c *C) {
	c.must(unix.Symlink("loop2", c.path("loop1")), "make symlink")
	c.must(unix.Symlink("loop1", c.path("loop2")), "make symlink")
	c.each(c.path("loop1", "x"), unix.ELOOP, "a name below a loop of symlinks")
	for _, call := range calls {
		switch call.name {
		case "open", "open O_CREAT", "open O_TRUNC", "chmod", "chown", "truncate", "utimensat", "stat", "access", "statfs":
			c.fails(call.do(c, c.path("loop1")), unix.ELOOP, "%s of a loop of symlinks", call.name)
		}
	}
}

func pathFault(c *C) {
	for _, raw := range []struct {
		name string
		trap uintptr
		a, b uintptr
	}{
		{"openat", unix.SYS_OPENAT, unix.O_RDONLY, 0}, {"mkdirat", unix.SYS_MKDIRAT, 0o755, 0}, {"unlinkat", unix.SYS_UNLINKAT, 0, 0},
		{"mknodat", unix.SYS_MKNODAT, unix.S_IFIFO | 0o644, 0}, {"fchmodat", unix.SYS_FCHMODAT, 0o644, 0},
		{"fchownat", unix.SYS_FCHOWNAT, 0, 0}, {"linkat", unix.SYS_LINKAT, badPointer - 1, badPointer},
		{"renameat", unix.SYS_RENAMEAT2, badPointer - 1, badPointer},
	} {
		err := rawPathCall(raw.trap, raw.a, raw.b)
		c.failsWith(err, unix.EFAULT, unix.EBADF, "%s with a bad pointer", raw.name)
	}
}

func pathEmpty(c *C) {
	for _, call := range calls {
		c.must(touchIfMissing(c.path("source")), "make source")
		c.fails(call.do(c, ""), unix.ENOENT, "%s of an empty path", call.name)
	}
}
