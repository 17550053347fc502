package check

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

var truncateTests = []Test{
	{"truncate/effect", truncateEffect},
	{"truncate/zero fill", truncateZeroFill},
	{"truncate/errors", truncateErrors},
	{"truncate/EACCES", truncateDenied},
	{"truncate/ftruncate", truncateDescriptor},
	{"truncate/large", truncateLarge},
}

func truncateEffect(c *C) {
	file := c.file("file", 0o644, "0123456789")
	for _, size := range []int64{5, 100, 100000, 1, 0} {
		c.changes(file, "mc", "truncate", func() { c.ok(unix.Truncate(file, size), "truncate to %d", size) })
		c.that(c.stat(file).Size == size, "size %d, want %d", c.stat(file).Size, size)
	}
	c.must(unix.Symlink("file", c.path("link")), "make symlink")
	c.ok(unix.Truncate(c.path("link"), 33), "truncate through a symlink")
	c.that(c.stat(file).Size == 33, "size %d", c.stat(file).Size)
}

func truncateZeroFill(c *C) {
	file := c.file("file", 0o644, string(bytes.Repeat([]byte{0xff}, 10000)))
	c.must(unix.Truncate(file, 4321), "truncate")
	c.must(unix.Truncate(file, 9000), "truncate")
	text, err := os.ReadFile(file)
	want := append(bytes.Repeat([]byte{0xff}, 4321), make([]byte, 9000-4321)...)
	c.that(err == nil && bytes.Equal(text, want), "content after shrinking and growing: %d bytes, %v", len(text), err)
}

func truncateErrors(c *C) {
	file := c.file("file", 0o644, "content")
	c.fails(unix.Truncate(file, -1), unix.EINVAL, "truncate to -1")
	c.fails(unix.Truncate(c.make("directory", "dir"), 0), unix.EISDIR, "truncate of a directory")
	c.fails(unix.Truncate(c.make("fifo", "fifo"), 0), unix.EINVAL, "truncate of a fifo")
	c.failsWith(unix.Truncate(file, 1<<62), unix.EFBIG, unix.EINVAL, "truncate to 2^62")
	c.that(c.stat(file).Size == 7, "size %d", c.stat(file).Size)
}

func truncateDenied(c *C) {
	file := c.fileOf("file", alice, 0o644)
	c.as(bob, func() {
		c.changes(file, "", "refused truncate", func() { c.fails(unix.Truncate(file, 0), unix.EACCES, "truncate of a file of another") })
	})
	c.must(unix.Chmod(file, 0o444), "chmod")
	c.as(alice, func() { c.fails(unix.Truncate(file, 0), unix.EACCES, "truncate of an own file of mode 444") })
	c.that(c.stat(file).Size == 7, "size %d", c.stat(file).Size)
}

func truncateDescriptor(c *C) {
	file := c.file("file", 0o644, "0123456789")
	fd := c.open(file, unix.O_RDWR, 0)
	defer unix.Close(fd)
	for _, size := range []int64{50, 3} {
		c.changes(file, "mc", "ftruncate", func() { c.ok(unix.Ftruncate(fd, size), "ftruncate to %d", size) })
		c.that(c.stat(file).Size == size, "size %d, want %d", c.stat(file).Size, size)
	}
	c.fails(unix.Ftruncate(fd, -1), unix.EINVAL, "ftruncate to -1")
	reader := c.open(file, unix.O_RDONLY, 0)
	defer unix.Close(reader)
	c.fails(unix.Ftruncate(reader, 0), unix.EINVAL, "ftruncate of a descriptor for reading")
	c.must(unix.Chmod(file, 0), "chmod")
	c.ok(unix.Ftruncate(fd, 1), "ftruncate of a file whose mode became 000")
}

func truncateLarge(c *C) {
	const size = 5<<32 + 17
	file := c.file("file", 0o644, "start")
	c.ok(unix.Truncate(file, size), "truncate to %d", int64(size))
	c.that(c.stat(file).Size == size, "size %d", c.stat(file).Size)
	fd := c.open(file, unix.O_RDWR, 0)
	defer unix.Close(fd)
	_, err := unix.Pwrite(fd, []byte("far"), size-3)
	c.ok(err, "write beyond 4 GiB")
	buf := make([]byte, 8)
	n, err := unix.Pread(fd, buf, size-5)
	c.that(err == nil && string(buf[:max(n, 0)]) == "\x00\x00far", "read beyond 4 GiB: %q, %v", buf[:max(n, 0)], err)
	c.that(c.stat(file).Blocks*512 < 1<<20, "a sparse file has %d blocks", c.stat(file).Blocks)
}
