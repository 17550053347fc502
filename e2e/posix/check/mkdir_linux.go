package check

import (
	"golang.org/x/sys/unix"
)

var mkdirTests = []Test{
	{"mkdir/effect", mkdirEffect},
	{"mkdir/EEXIST", mkdirExists},
	{"mkdir/EACCES", mkdirDenied},
	{"mkdir/slash", mkdirSlash},
	{"mkdir/deep", mkdirDeep},
}

var rmdirTests = []Test{
	{"rmdir/effect", rmdirEffect},
	{"rmdir/ENOTEMPTY", rmdirNotEmpty},
	{"rmdir/ENOTDIR", rmdirNotDirectory},
	{"rmdir/dots", rmdirDots},
	{"rmdir/EACCES", rmdirDenied},
	{"rmdir/open", rmdirOpen},
}

func mkdirEffect(c *C) {
	parent := c.dir("parent", alice, 0o777)
	for _, mode := range []uint32{0o755, 0o151, 0, 0o1777} {
		links := c.stat(parent).Nlink
		c.changes(parent, "mc", "mkdir", func() { c.must(unix.Mkdir(parent+"/new", mode), "mkdir") })
		st := c.stat(parent + "/new")
		c.that(st.Mode == unix.S_IFDIR|mode, "mode %o, made with %o", st.Mode, mode)
		c.that(st.Nlink == 2, "nlink %d of a new directory", st.Nlink)
		c.that(c.stat(parent).Nlink == links+1, "nlink of the parent %d, before %d", c.stat(parent).Nlink, links)
		names, err := listNames(parent + "/new")
		c.that(err == nil && len(names) == 0, "a new directory holds %v, %v", names, err)
		c.must(unix.Rmdir(parent+"/new"), "rmdir")
	}
	c.as(carol, func() { c.ok(unix.Mkdir(parent+"/carol's", 0o750), "mkdir") })
	st := c.stat(parent + "/carol's")
	c.that(int(st.Uid) == carol.uid && int(st.Gid) == carol.gid, "owner %d:%d, made by %v", st.Uid, st.Gid, carol)
}

func mkdirExists(c *C) {
	for _, kind := range kinds {
		c.fails(unix.Mkdir(c.make(kind, "existing "+kind), 0o755), unix.EEXIST, "mkdir of an existing %s", kind)
	}
	c.fails(unix.Mkdir(c.Dir+"/.", 0o755), unix.EEXIST, "mkdir of .")
	c.fails(unix.Mkdir(c.Dir+"/..", 0o755), unix.EEXIST, "mkdir of ..")
}

func mkdirDenied(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.as(bob, func() { c.fails(unix.Mkdir(dir+"/new", 0o755), unix.EACCES, "mkdir in a directory of another") })
	c.missing(dir + "/new")
}

func mkdirSlash(c *C) {
	c.ok(unix.Mkdir(c.path("dir")+"/", 0o755), "mkdir of a name with a slash")
	c.ok(unix.Rmdir(c.path("dir")+"/"), "rmdir of a name with a slash")
}

func mkdirDeep(c *C) {
	const depth = 100
	path := c.Dir
	for i := range depth {
		path += "/d"
		c.must(unix.Mkdir(path, 0o755), "mkdir at depth %d", i)
	}
	c.ok(touch(path+"/file", 0o644), "create at depth %d", depth)
	c.that(c.stat(path+"/file").Nlink == 1, "lstat at depth %d", depth)
}

func rmdirEffect(c *C) {
	dir := c.make("directory", "dir")
	links := c.stat(c.Dir).Nlink
	c.changes(c.Dir, "mc", "rmdir", func() { c.ok(unix.Rmdir(dir), "rmdir") })
	c.missing(dir)
	c.that(c.stat(c.Dir).Nlink == links-1, "nlink of the parent %d, before %d", c.stat(c.Dir).Nlink, links)
	c.fails(unix.Rmdir(dir), unix.ENOENT, "second rmdir")
}

func rmdirNotEmpty(c *C) {
	for _, kind := range kinds {
		dir := c.make("directory", "dir with "+kind)
		c.must(create(kind, dir+"/entry"), "make an entry")
		c.failsWith(unix.Rmdir(dir), unix.ENOTEMPTY, unix.EEXIST, "rmdir of a directory with a %s", kind)
		c.must(remove(kind, dir+"/entry"), "remove the entry")
		c.ok(unix.Rmdir(dir), "rmdir of a directory that is empty again")
	}
}

func rmdirNotDirectory(c *C) {
	for _, kind := range kinds {
		if kind != "directory" {
			path := c.make(kind, "a "+kind)
			c.fails(unix.Rmdir(path), unix.ENOTDIR, "rmdir of a %s", kind)
			c.stat(path)
		}
	}
	c.make("directory", "dir")
	c.must(unix.Symlink("dir", c.path("link")), "make symlink")
	c.fails(unix.Rmdir(c.path("link")), unix.ENOTDIR, "rmdir of a symlink to a directory")
}

func rmdirDots(c *C) {
	dir := c.make("directory", "dir")
	c.fails(unix.Rmdir(dir+"/."), unix.EINVAL, "rmdir of .")
	c.failsWith(unix.Rmdir(dir+"/.."), unix.ENOTEMPTY, unix.EEXIST, "rmdir of ..")
}

func rmdirDenied(c *C) {
	parent := c.dir("parent", alice, 0o755)
	c.must(unix.Mkdir(parent+"/dir", 0o777), "make directory")
	c.as(bob, func() { c.fails(unix.Rmdir(parent+"/dir"), unix.EACCES, "rmdir in a directory of another") })
	c.as(alice, func() { c.ok(unix.Rmdir(parent+"/dir"), "rmdir in the own directory") })
}

// rmdirOpen: nothing can be made in a directory that is gone.
func rmdirOpen(c *C) {
	dir := c.make("directory", "dir")
	fd := c.open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	defer unix.Close(fd)
	c.ok(unix.Rmdir(dir), "rmdir of an open directory")
	err := unix.Mkdirat(fd, "new", 0o755)
	c.failsWith(err, unix.ENOENT, unix.ESTALE, "mkdir in a removed directory")
}
