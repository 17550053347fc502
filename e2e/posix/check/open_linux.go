package check

import (
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

var openTests = []Test{
	{"open/create", openCreate},
	{"open/umask", openUmask},
	{"open/existing", openExisting},
	{"open/truncate", openTruncate},
	{"open/O_EXCL", openExclusive},
	{"open/EISDIR", openIsDirectory},
	{"open/O_NOFOLLOW", openNoFollow},
	{"open/O_DIRECTORY", openDirectory},
	{"open/special", openSpecial},
	{"open/ETXTBSY", openTextBusy},
	{"open/EACCES", openDenied},
	{"open/read-only file as creator", openReadOnlyCreate},
}

func openCreate(c *C) {
	dir := c.dir("dir", alice, 0o777)
	for _, mode := range []uint32{0, 0o755, 0o151, 0o4644, 0o1777, 0o444} {
		c.changes(dir, "mc", "create", func() {
			c.must(touch(dir+"/file", mode), "create with mode %o", mode)
		})
		st := c.stat(dir + "/file")
		c.that(st.Mode == unix.S_IFREG|mode, "mode %o after creation with %o", st.Mode, mode)
		c.that(st.Uid == 0 && st.Gid == 0, "owner %d:%d, created by root", st.Uid, st.Gid)
		c.that(st.Nlink == 1 && st.Size == 0, "nlink %d, size %d", st.Nlink, st.Size)
		c.must(unix.Unlink(dir+"/file"), "unlink")
	}
	c.as(carol, func() { c.ok(touch(dir+"/carol's", 0o640), "create") })
	st := c.stat(dir + "/carol's")
	c.that(int(st.Uid) == carol.uid && int(st.Gid) == carol.gid, "owner %d:%d, created by %v", st.Uid, st.Gid, carol)
}

func openUmask(c *C) {
	for _, mask := range []int{0, 0o022, 0o077, 0o151, 0o777} {
		c.withUmask(mask, func() {
			for _, kind := range []string{"regular", "directory", "fifo"} {
				path := c.path("new")
				c.must(createMode(kind, path, 0o777), "make a %s", kind)
				c.that(c.mode(path) == 0o777&^uint32(mask), "a %s made with 777 and umask %03o has %03o", kind, mask, c.mode(path))
				c.must(remove(kind, path), "remove")
			}
		})
	}
}

func createMode(kind, path string, mode uint32) error {
	switch kind {
	case "regular":
		return touch(path, mode)
	case "directory":
		return unix.Mkdir(path, mode)
	}
	return unix.Mkfifo(path, mode)
}

func openExisting(c *C) {
	file := c.file("file", 0o640, "content")
	c.changes(c.Dir, "", "open O_CREAT of an existing file", func() {
		c.changes(file, "", "open O_CREAT of an existing file", func() {
			c.ok(openClose(file, unix.O_CREAT|unix.O_RDWR, 0o777), "open O_CREAT")
		})
	})
	c.that(c.mode(file) == 0o640, "mode %o", c.mode(file))
	c.that(c.stat(file).Size == 7, "size %d", c.stat(file).Size)
}

func openTruncate(c *C) {
	file := c.file("file", 0o640, "content")
	c.changes(file, "mc", "open O_TRUNC", func() {
		c.ok(openClose(file, unix.O_WRONLY|unix.O_TRUNC, 0), "open O_TRUNC")
	})
	c.that(c.stat(file).Size == 0, "size %d", c.stat(file).Size)
	c.must(os.WriteFile(file, []byte("again"), 0), "write")
	c.ok(openClose(file, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, 0), "open O_CREAT|O_TRUNC")
	c.that(c.stat(file).Size == 0, "size %d", c.stat(file).Size)
}

func openExclusive(c *C) {
	for _, kind := range kinds {
		path := c.make(kind, "existing "+kind)
		c.fails(touch(path, 0o644), unix.EEXIST, "open O_CREAT|O_EXCL of a %s", kind)
	}
	c.ok(touch(c.path("new"), 0o604), "open O_CREAT|O_EXCL")
	c.that(c.mode(c.path("new")) == 0o604, "mode %o", c.mode(c.path("new")))
	before := c.times(c.Dir)
	c.that(c.times(c.path("new")).modify-before.modify < 1e9*60, "an exclusive create leaves true times")
	st := c.stat(c.path("new"))
	c.that(absolute(st.Mtim.Nano()-before.modify) < 60e9 && absolute(st.Atim.Nano()-before.modify) < 60e9, "times %v %v of a new file, near %d", st.Atim, st.Mtim, before.modify)
}

func absolute(n int64) int64 { return max(n, -n) }

func openIsDirectory(c *C) {
	dir := c.make("directory", "dir")
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY | unix.O_TRUNC, unix.O_WRONLY | unix.O_TRUNC, unix.O_RDWR | unix.O_TRUNC, unix.O_CREAT} {
		c.fails(openClose(dir, flags, 0o644), unix.EISDIR, "open %#o of a directory", flags)
	}
	c.fails(openClose(c.path("new")+"/", unix.O_CREAT|unix.O_WRONLY, 0o644), unix.EISDIR, "create a name with a slash")
	c.missing(c.path("new"))
	fd := c.open(dir, unix.O_RDONLY, 0)
	defer unix.Close(fd)
	_, err := unix.Read(fd, make([]byte, 16))
	c.fails(err, unix.EISDIR, "read of a directory")
}

func openNoFollow(c *C) {
	c.file("file", 0o644, "content")
	c.must(unix.Symlink("file", c.path("link")), "make symlink")
	c.fails(openClose(c.path("link"), unix.O_RDONLY|unix.O_NOFOLLOW, 0), unix.ELOOP, "open O_NOFOLLOW of a symlink")
	c.fails(openClose(c.path("link"), unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW, 0), unix.ELOOP, "open O_CREAT|O_NOFOLLOW of a symlink")
	c.ok(openClose(c.path("file"), unix.O_RDONLY|unix.O_NOFOLLOW, 0), "open O_NOFOLLOW of a file")
	text, err := os.ReadFile(c.path("link"))
	c.that(err == nil && string(text) == "content", "read through a symlink: %q, %v", text, err)
}

func openDirectory(c *C) {
	c.file("file", 0o644, "")
	c.fails(openClose(c.path("file"), unix.O_RDONLY|unix.O_DIRECTORY, 0), unix.ENOTDIR, "open O_DIRECTORY of a file")
	c.fails(openClose(c.path("file")+"/", unix.O_RDONLY, 0), unix.ENOTDIR, "open of a file with a slash")
	c.ok(openClose(c.make("directory", "dir")+"/", unix.O_RDONLY|unix.O_DIRECTORY, 0), "open of a directory with a slash")
}

func openSpecial(c *C) {
	fifo := c.make("fifo", "fifo")
	c.fails(openClose(fifo, unix.O_WRONLY|unix.O_NONBLOCK, 0), unix.ENXIO, "open of a fifo that nobody reads")
	reader := c.open(fifo, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	defer unix.Close(reader)
	writer := c.open(fifo, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	defer unix.Close(writer)
	_, err := unix.Write(writer, []byte("through"))
	c.ok(err, "write to a fifo")
	buf := make([]byte, 16)
	n, err := unix.Read(reader, buf)
	c.that(err == nil && string(buf[:max(n, 0)]) == "through", "read from a fifo: %q, %v", buf[:max(n, 0)], err)
	c.fails(openClose(c.make("socket", "socket"), unix.O_RDONLY, 0), unix.ENXIO, "open of a socket")
	c.ok(openClose(c.make("character device", "null"), unix.O_RDWR, 0), "open of a device")
}

// HoldArgument makes the suite's program wait until its standard input ends, and do nothing else.
const HoldArgument = "hold"

// runCopy copies this program into the mount and runs it there until the returned function is called.
func (c *C) runCopy(path string) (end func()) {
	image, err := os.ReadFile("/proc/self/exe")
	c.must(err, "read this program")
	c.must(os.WriteFile(path, image, 0o755), "copy this program")
	cmd := exec.Command(path, HoldArgument)
	input, err := cmd.StdinPipe()
	c.must(err, "make a pipe")
	output, err := cmd.StdoutPipe()
	c.must(err, "make a pipe")
	c.must(cmd.Start(), "run a program in the mount")
	_, err = output.Read(make([]byte, 1))
	c.must(err, "wait for the program in the mount")
	return func() { input.Close(); cmd.Wait() }
}

func openTextBusy(c *C) {
	program := c.path("program")
	end := c.runCopy(program)
	defer end()
	c.fails(openClose(program, unix.O_WRONLY, 0), unix.ETXTBSY, "open O_WRONLY of a running program")
	c.fails(openClose(program, unix.O_RDWR, 0), unix.ETXTBSY, "open O_RDWR of a running program")
	c.fails(openClose(program, unix.O_RDONLY|unix.O_TRUNC, 0), unix.ETXTBSY, "open O_TRUNC of a running program")
	c.fails(unix.Truncate(program, 1), unix.ETXTBSY, "truncate of a running program")
	c.ok(openClose(program, unix.O_RDONLY, 0), "open O_RDONLY of a running program")
	c.ok(unix.Rename(program, c.path("renamed")), "rename of a running program")
}

func openDenied(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.as(bob, func() {
		c.fails(openClose(dir+"/new", unix.O_CREAT|unix.O_RDONLY, 0o644), unix.EACCES, "create in a directory of another")
		c.fails(touch(dir+"/new", 0o644), unix.EACCES, "exclusive create in a directory of another")
	})
	c.missing(dir + "/new")
	c.as(alice, func() { c.ok(touch(dir+"/new", 0o600), "create in the own directory") })
	c.as(bob, func() {
		c.fails(openClose(dir+"/new", unix.O_CREAT|unix.O_RDONLY, 0o644), unix.EACCES, "open O_CREAT of a file of another")
		c.fails(touch(dir+"/new", 0o644), unix.EEXIST, "exclusive create of a file of another")
		c.fails(openClose(dir+"/new", unix.O_RDONLY|unix.O_TRUNC, 0), unix.EACCES, "open O_TRUNC of a file of another")
	})
}

// openReadOnlyCreate: the descriptor of a creating open may write whatever the mode is.
func openReadOnlyCreate(c *C) {
	dir := c.dir("dir", alice, 0o755)
	c.as(alice, func() {
		fd := c.open(dir+"/file", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o444)
		_, err := unix.Write(fd, []byte("written"))
		c.ok(err, "write to a new file of mode 444")
		c.ok(unix.Close(fd), "close of a new file of mode 444")
		text, err := os.ReadFile(dir + "/file")
		c.that(err == nil && string(text) == "written", "content %q, %v", text, err)
	})
}
