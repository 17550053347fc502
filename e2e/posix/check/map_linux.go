package check

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

var mapTests = []Test{
	{"map/read", mapRead},
	{"map/write", mapWrite},
	{"map/private", mapPrivate},
}

func (c *C) mapFile(fd, size, protection, flags int) []byte {
	data, err := unix.Mmap(fd, 0, size, protection, flags)
	c.must(err, "mmap")
	return data
}

func mapRead(c *C) {
	want := random(3, 100000)
	c.must(os.WriteFile(c.path("file"), want, 0o644), "write")
	fd := c.open(c.path("file"), unix.O_RDONLY, 0)
	defer unix.Close(fd)
	data := c.mapFile(fd, len(want), unix.PROT_READ, unix.MAP_SHARED)
	defer unix.Munmap(data)
	c.that(bytes.Equal(data, want), "content of a mapping")
	page := os.Getpagesize()
	whole := c.mapFile(fd, (len(want)+page-1)/page*page, unix.PROT_READ, unix.MAP_SHARED)
	defer unix.Munmap(whole)
	c.that(bytes.Equal(whole[len(want):], make([]byte, len(whole)-len(want))), "a mapping ends in zeroes")
}

func mapWrite(c *C) {
	size := 50000
	c.must(os.WriteFile(c.path("file"), random(4, size), 0o644), "write")
	fd := c.open(c.path("file"), unix.O_RDWR, 0)
	defer unix.Close(fd)
	data := c.mapFile(fd, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	want := random(5, size)
	c.changes(c.path("file"), "mc", "write through a mapping", func() {
		copy(data, want)
		c.ok(unix.Msync(data, unix.MS_SYNC), "msync")
	})
	got, err := os.ReadFile(c.path("file"))
	c.that(err == nil && bytes.Equal(got, want), "read after a write through a mapping: %d bytes, %v", len(got), err)
	_, err = unix.Pwrite(fd, []byte("by write"), 7)
	c.ok(err, "write")
	c.that(string(data[7:15]) == "by write", "a mapping shows what was written: %q", data[7:15])
	c.ok(unix.Munmap(data), "munmap")
}

func mapPrivate(c *C) {
	file := c.file("file", 0o644, "content")
	fd := c.open(file, unix.O_RDONLY, 0)
	defer unix.Close(fd)
	data := c.mapFile(fd, 7, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	copy(data, "private")
	c.ok(unix.Munmap(data), "munmap")
	got, err := os.ReadFile(file)
	c.that(err == nil && string(got) == "content", "a private mapping leaves the file: %q, %v", got, err)
	_, err = unix.Mmap(fd, 0, 7, unix.PROT_WRITE, unix.MAP_SHARED)
	c.fails(err, unix.EACCES, "shared mapping for writing of a descriptor for reading")
}
