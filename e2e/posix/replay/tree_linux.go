package replay

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

func (p *player) read() (string, error) {
	path := p.path()
	content, err := describeContent(p.in(path))
	return path + " " + content, err
}

// describeContent hashes what can be read without waiting.
func describeContent(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "no file", err
	}
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	return fmt.Sprintf("%d %x", n, hash.Sum(nil)[:8]), err
}

func (p *player) list() (string, error) {
	path := p.path()
	entries, err := os.ReadDir(p.in(path))
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = fmt.Sprint(entry.Name(), entry.Type())
	}
	return path + " [" + strings.Join(names, " ") + "]", err
}

func (p *player) stat() (string, error) {
	path := p.path()
	var st unix.Stat_t
	if err := unix.Stat(p.in(path), &st); err != nil {
		return path, err
	}
	return path + " " + describe(&st), nil
}

// describe prints the attributes that the operations determine: the size of directories, inode numbers and the times that
// the server's clock gives are not among them.
func describe(st *unix.Stat_t) string {
	size := st.Size
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		size = 0
	}
	return fmt.Sprintf("mode %o owner %d:%d nlink %d size %d device %#x", st.Mode, st.Uid, st.Gid, st.Nlink, size, st.Rdev)
}

// Tree writes a line per object below dir, sorted by path: attributes, content, target of a symbolic link, and the first of
// the names that are links of the same object.
func Tree(dir string, out io.Writer) error {
	first := make(map[uint64]string)
	var lines []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		line, err := treeLine(dir, path, first)
		lines = append(lines, line)
		return err
	})
	if err != nil {
		return err
	}
	sort.Strings(lines)
	_, err = io.WriteString(out, strings.Join(lines, "\n")+"\n")
	return err
}

func treeLine(dir, path string, first map[uint64]string) (string, error) {
	name, _ := filepath.Rel(dir, path)
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return name, err
	}
	line := name + " " + describe(&st)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if first[st.Ino] == "" {
			first[st.Ino] = name
		}
		line += " same as " + first[st.Ino]
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		return line + " -> " + target, err
	case unix.S_IFREG:
		content, err := describeContent(path)
		return line + " content " + content, err
	}
	return line, nil
}
