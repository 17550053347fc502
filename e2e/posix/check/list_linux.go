package check

import (
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

var listTests = []Test{
	{"list/types", listTypes},
	{"list/five thousand", listMany},
	{"list/while removing", listWhileRemoving},
	{"list/while adding", listWhileAdding},
	{"list/rewind", listRewind},
}

func numbered(i int) string { return fmt.Sprintf("n%05d", i) }

// listNames returns the names in a directory, without . and ..
func listNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func listTypes(c *C) {
	for _, kind := range kinds {
		c.make(kind, kind)
	}
	entries, err := os.ReadDir(c.Dir)
	c.must(err, "list")
	c.that(len(entries) == len(kinds), "%d entries, want %d", len(entries), len(kinds))
	for _, entry := range entries {
		info, err := os.Lstat(c.path(entry.Name()))
		c.that(err == nil && info.Mode().Type() == entry.Type(), "type %v of %s in the list", entry.Type(), entry.Name())
	}
	fd := c.open(c.Dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	defer unix.Close(fd)
	buf := make([]byte, 8192)
	n, err := unix.Getdents(fd, buf)
	c.must(err, "getdents")
	inodes := rawEntries(buf[:n])
	c.that(inodes["."] == c.stat(c.Dir).Ino, "inode number of . is %d", inodes["."])
	c.that(inodes[".."] == c.stat(c.Dir+"/..").Ino, "inode number of .. is %d", inodes[".."])
	for _, kind := range kinds {
		c.that(inodes[kind] == c.stat(c.path(kind)).Ino, "inode number of a %s in the list is %d", kind, inodes[kind])
	}
}

// fill makes numbered files in a new directory.
func (c *C) fill(name string, count int) string {
	dir := c.make("directory", name)
	for i := range count {
		c.must(touch(dir+"/"+numbered(i), 0o644), "make file %d", i)
	}
	return dir
}

// once checks that the names from to to are in names exactly once.
func (c *C) once(names []string, from, to int, what string) {
	seen := make(map[string]int, len(names))
	for _, name := range names {
		seen[name]++
	}
	wrong := 0
	for i := from; i < to; i++ {
		if seen[numbered(i)] != 1 {
			wrong++
		}
	}
	c.that(wrong == 0, "%s: %d of %d names are missing or listed twice", what, wrong, to-from)
}

func listMany(c *C) {
	const count = 5000
	dir := c.fill("dir", count)
	names, err := listNames(dir)
	c.that(err == nil && len(names) == count, "%d names, %v", len(names), err)
	c.once(names, 0, count, "a long list")
	for i := range count {
		c.must(unix.Unlink(dir+"/"+numbered(i)), "unlink %d", i)
	}
	names, err = listNames(dir)
	c.that(err == nil && len(names) == 0, "%d names after all were removed, %v", len(names), err)
	c.ok(unix.Rmdir(dir), "rmdir")
}

// listWhile lists dir in small steps and calls act between them.
func (c *C) listWhile(dir string, act func(step int)) []string {
	fd := c.open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	var names []string
	for step := 0; ; step++ {
		n, err := unix.Getdents(fd, buf)
		c.must(err, "getdents")
		if n == 0 {
			return slices.DeleteFunc(names, func(name string) bool { return name == "." || name == ".." })
		}
		names = append(names, rawNames(buf[:n])...)
		act(step)
	}
}

func listWhileRemoving(c *C) {
	const count = 1000
	dir := c.fill("dir", count)
	removed := 0
	names := c.listWhile(dir, func(step int) {
		for end := min(removed+100, count/2); removed < end; removed++ {
			c.must(unix.Unlink(dir+"/"+numbered(removed)), "unlink")
		}
	})
	c.once(names, count/2, count, "a list while other names go")
	rest, err := listNames(dir)
	c.that(err == nil && len(rest) == count-removed, "%d names are left, want %d, %v", len(rest), count-removed, err)
}

func listWhileAdding(c *C) {
	const count = 1000
	dir := c.fill("dir", count)
	names := c.listWhile(dir, func(step int) {
		if step < 50 {
			c.must(touch(fmt.Sprintf("%s/new%05d", dir, step), 0o644), "make file")
		}
	})
	c.once(names, 0, count, "a list while names come")
}

func listRewind(c *C) {
	dir := c.fill("dir", 300)
	fd := c.open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	defer unix.Close(fd)
	for range 2 {
		var names []string
		buf := make([]byte, 2048)
		for {
			n, err := unix.Getdents(fd, buf)
			c.must(err, "getdents")
			if n == 0 {
				break
			}
			names = append(names, rawNames(buf[:n])...)
		}
		c.once(names, 0, 300, "a list after rewind")
		_, err := unix.Seek(fd, 0, io.SeekStart)
		c.must(err, "rewind")
		c.must(touchIfMissing(dir+"/later"), "make file")
	}
}
