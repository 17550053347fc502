package check

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

var dataTests = []Test{
	{"data/large file", dataLarge},
	{"data/holes", dataHoles},
	{"data/append", dataAppend},
	{"data/end of file", dataEnd},
	{"data/read-only descriptor", dataDescriptors},
	{"data/unaligned", dataUnaligned},
	{"data/synchronous", dataSynchronous},
	{"data/two descriptors", dataTwoDescriptors},
	{"data/statfs", dataStatFS},
	{"data/vectors", dataVectors},
}

// random returns n bytes that a seed determines.
func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	data := make([]byte, n)
	rand.NewChaCha8(key).Read(data)
	return data
}

func dataLarge(c *C) {
	want := random(1, 9<<20+12345)
	c.must(os.WriteFile(c.path("file"), want, 0o644), "write")
	got, err := os.ReadFile(c.path("file"))
	c.that(err == nil && bytes.Equal(got, want), "content of %d bytes, %d read, %v", len(want), len(got), err)
	c.that(c.stat(c.path("file")).Size == int64(len(want)), "size %d", c.stat(c.path("file")).Size)
	c.that(c.stat(c.path("file")).Blocks*512 >= int64(len(want)), "%d blocks", c.stat(c.path("file")).Blocks)
}

func dataHoles(c *C) {
	fd := c.open(c.path("file"), unix.O_CREAT|unix.O_RDWR, 0o644)
	defer unix.Close(fd)
	for _, offset := range []int64{1 << 20, 3, 5 << 19} {
		_, err := unix.Pwrite(fd, []byte("data"), offset)
		c.ok(err, "write at %d", offset)
	}
	got := make([]byte, 5<<19+4)
	n, err := unix.Pread(fd, got, 0)
	want := make([]byte, len(got))
	copy(want[3:], "data")
	copy(want[1<<20:], "data")
	copy(want[5<<19:], "data")
	c.that(err == nil && n == len(want) && bytes.Equal(got, want), "holes read as zeroes: %d bytes, %v", n, err)
}

func dataAppend(c *C) {
	file := c.file("file", 0o644, "start")
	one := c.open(file, unix.O_WRONLY|unix.O_APPEND, 0)
	defer unix.Close(one)
	two := c.open(file, unix.O_WRONLY|unix.O_APPEND, 0)
	defer unix.Close(two)
	want := "start"
	for i := range 50 {
		text := numbered(i)
		fd := one
		if i%2 == 1 {
			fd = two
		}
		_, err := unix.Write(fd, []byte(text))
		c.ok(err, "append")
		want += text
	}
	got, err := os.ReadFile(file)
	c.that(err == nil && string(got) == want, "content %q, %v", got, err)
	_, err = unix.Pwrite(one, []byte("!"), 0)
	c.ok(err, "pwrite with O_APPEND")
	got, err = os.ReadFile(file)
	c.that(err == nil && string(got) == want+"!", "pwrite with O_APPEND appends: %q, %v", got, err)
}

func dataEnd(c *C) {
	file := c.file("file", 0o644, "0123456789")
	fd := c.open(file, unix.O_RDONLY, 0)
	defer unix.Close(fd)
	for _, read := range []struct {
		offset int64
		want   string
	}{{0, "0123456789"}, {8, "89"}, {10, ""}, {11, ""}, {1 << 40, ""}} {
		buf := make([]byte, 100)
		n, err := unix.Pread(fd, buf, read.offset)
		c.that(err == nil && string(buf[:max(n, 0)]) == read.want, "read at %d: %q, %v", read.offset, buf[:max(n, 0)], err)
	}
	_, err := unix.Pread(fd, make([]byte, 1), -1)
	c.fails(err, unix.EINVAL, "read at -1")
	position, err := unix.Seek(fd, 0, io.SeekEnd)
	c.that(err == nil && position == 10, "seek to the end: %d, %v", position, err)
}

func dataDescriptors(c *C) {
	file := c.file("file", 0o644, "content")
	reader := c.open(file, unix.O_RDONLY, 0)
	defer unix.Close(reader)
	writer := c.open(file, unix.O_WRONLY, 0)
	defer unix.Close(writer)
	_, err := unix.Write(reader, []byte("x"))
	c.fails(err, unix.EBADF, "write to a descriptor for reading")
	_, err = unix.Read(writer, make([]byte, 1))
	c.fails(err, unix.EBADF, "read from a descriptor for writing")
}

func dataUnaligned(c *C) {
	fd := c.open(c.path("file"), unix.O_CREAT|unix.O_RDWR, 0o644)
	defer unix.Close(fd)
	model := make([]byte, 300000)
	for i := range 200 {
		chunk := random(uint64(i), 1+(i*7919)%9973)
		offset := (i * 104729) % (len(model) - len(chunk))
		copy(model[offset:], chunk)
		_, err := unix.Pwrite(fd, chunk, int64(offset))
		c.ok(err, "write")
	}
	c.must(unix.Ftruncate(fd, int64(len(model))), "ftruncate")
	got, err := os.ReadFile(c.path("file"))
	c.that(err == nil && bytes.Equal(got, model), "content after unaligned writes: %d bytes, %v", len(got), err)
}

func dataSynchronous(c *C) {
	for _, flag := range []int{unix.O_SYNC, unix.O_DSYNC} {
		fd := c.open(c.path("file"), unix.O_CREAT|unix.O_RDWR|unix.O_TRUNC|flag, 0o644)
		want := random(uint64(flag), 70000)
		n, err := unix.Write(fd, want)
		c.that(err == nil && n == len(want), "synchronous write of %d: %d, %v", len(want), n, err)
		c.ok(unix.Fdatasync(fd), "fdatasync")
		c.ok(unix.Close(fd), "close")
		got, err := os.ReadFile(c.path("file"))
		c.that(err == nil && bytes.Equal(got, want), "content after a synchronous write: %v", err)
	}
}

func dataTwoDescriptors(c *C) {
	file := c.file("file", 0o644, "")
	writer := c.open(file, unix.O_WRONLY, 0)
	defer unix.Close(writer)
	reader := c.open(file, unix.O_RDONLY, 0)
	defer unix.Close(reader)
	for i := range 20 {
		text := []byte(numbered(i))
		_, err := unix.Write(writer, text)
		c.ok(err, "write")
		got := make([]byte, len(text))
		n, err := unix.Read(reader, got)
		c.that(err == nil && bytes.Equal(got[:max(n, 0)], text), "one descriptor reads %q, the other wrote %q, %v", got[:max(n, 0)], text, err)
	}
}

func dataStatFS(c *C) {
	var fs unix.Statfs_t
	c.must(unix.Statfs(c.Dir, &fs), "statfs")
	c.that(fs.Blocks > 0 && fs.Bfree <= fs.Blocks && fs.Bavail <= fs.Bfree, "blocks %d, free %d, available %d", fs.Blocks, fs.Bfree, fs.Bavail)
	c.that(fs.Bsize > 0 && fs.Ffree <= fs.Files, "block size %d, files %d, free %d", fs.Bsize, fs.Files, fs.Ffree)
	c.that(fs.Namelen == 255, "longest name %d", fs.Namelen)
}

func dataVectors(c *C) {
	fd := c.open(c.path("file"), unix.O_CREAT|unix.O_RDWR, 0o644)
	defer unix.Close(fd)
	n, err := unix.Writev(fd, [][]byte{[]byte("one "), []byte("two "), random(9, 100000)})
	c.that(err == nil && n == 100008, "writev: %d, %v", n, err)
	head, rest := make([]byte, 8), make([]byte, 100000)
	n, err = unix.Preadv(fd, [][]byte{head, rest}, 0)
	c.that(err == nil && n == 100008 && string(head) == "one two " && bytes.Equal(rest, random(9, 100000)), "preadv: %d, %q, %v", n, head, err)
}
