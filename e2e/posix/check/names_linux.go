package check

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var nameTests = []Test{
	{"names/bytes", namesBytes},
	{"names/strange", namesStrange},
	{"names/case", namesCase},
	{"names/lengths", namesLengths},
}

// namesBytes: a name may hold every byte but the slash and zero.
func namesBytes(c *C) {
	for b := 1; b < 256; b++ {
		if b == '/' {
			continue
		}
		path := c.path("x" + string([]byte{byte(b)}) + "y")
		c.ok(touch(path, 0o644), "create a name with byte %#02x", b)
	}
	names, err := listNames(c.Dir)
	c.that(err == nil && len(names) == 254, "%d names, %v", len(names), err)
	for _, name := range names {
		c.ok(unix.Unlink(c.Dir+"/"+name), "unlink %q", name)
	}
}

func namesStrange(c *C) {
	strange := []string{" ", "  two", "trailing ", "...", ".hidden", "..two", "-rf", "new\nline", "\xe2\x98\x83", "e\u0301", "\u00e9", "*", "a\\b", "CON", "\x7f"}
	for _, name := range strange {
		c.ok(touch(c.Dir+"/"+name, 0o644), "create %q", name)
		c.ok(unix.Lstat(c.Dir+"/"+name, new(unix.Stat_t)), "lstat %q", name)
	}
	names, err := listNames(c.Dir)
	slices.Sort(names)
	slices.Sort(strange)
	c.that(err == nil && slices.Equal(names, strange), "names %q, %v", names, err)
}

func namesCase(c *C) {
	c.file("Name", 0o644, "upper")
	c.ok(touch(c.path("name"), 0o644), "create a name that differs in case")
	c.fails(unix.Lstat(c.path("NAME"), new(unix.Stat_t)), unix.ENOENT, "lstat of a name that differs in case")
}

func namesLengths(c *C) {
	for length := 1; length <= 255; length++ {
		c.ok(touch(c.Dir+"/"+strings.Repeat("l", length), 0o644), "create a name of %d bytes", length)
	}
	names, err := listNames(c.Dir)
	c.that(err == nil && len(names) == 255, "%d names, %v", len(names), err)
	c.fails(touch(c.Dir+"/"+strings.Repeat("l", 256), 0o644), unix.ENAMETOOLONG, "create a name of 256 bytes")
}
