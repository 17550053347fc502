package rounds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// kept is how many rounds' directories stay: older ones are removed.
const kept = 3

// Twice begins a line of Run's output about a call that failed as if it had been made before, and whose effect is there.
const Twice = "twice"

// player makes changes below a directory.
type player struct {
	dir string
	out io.Writer
}

// Run makes changes in dir until ctx is done, and writes "round N" when those of a round have been acknowledged. It returns the first
// error; one that says that a call was made before is written down instead, if its effect is there.
func Run(ctx context.Context, dir string, out io.Writer) error {
	p := &player{dir: dir, out: out}
	for n := 0; ctx.Err() == nil; n++ {
		if err := p.round(n); err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		if _, err := fmt.Fprintln(out, "round", n); err != nil {
			return err
		}
	}
	return nil
}

func name(n int) string { return fmt.Sprint("d", n) }

func (p *player) path(n int, names ...string) string {
	return filepath.Join(append([]string{p.dir, name(n)}, names...)...)
}

// step is a call, and the names that are there after it and not there. One without a name must not fail at all: an exclusive create says
// who repeats it (RFC 1813 §3.3.8).
type step struct {
	what  string
	do    func() error
	there string
	gone  string
}

// round makes a tree of its own, and takes the oldest one away.
func (p *player) round(n int) error {
	at := func(names ...string) string { return p.path(n, names...) }
	steps := []step{
		{"mkdir", func() error { return unix.Mkdir(at(), 0o755) }, at(), ""},
		{"mkdir below", func() error { return unix.Mkdir(at("sub"), 0o755) }, at("sub"), ""},
		{"create", func() error { return p.write(at("file"), n) }, "", ""},
		{"mknod", func() error { return unix.Mkfifo(at("fifo"), 0o644) }, at("fifo"), ""},
		{"link", func() error { return unix.Link(at("file"), at("sub", "linked")) }, at("sub", "linked"), ""},
		{"symlink", func() error { return unix.Symlink("file", at("symlink")) }, at("symlink"), ""},
		{"rename", func() error { return unix.Rename(at("fifo"), at("pipe")) }, at("pipe"), at("fifo")},
		{"rename across", func() error { return unix.Rename(at("symlink"), at("sub", "symlink")) }, at("sub", "symlink"), at("symlink")},
		{"create another", func() error { return p.write(at("new"), n) }, "", ""},
		{"rename over", func() error { return unix.Rename(at("new"), at("file")) }, at("file"), at("new")},
		{"unlink", func() error { return unix.Unlink(at("sub", "linked")) }, at("sub"), at("sub", "linked")},
		{"unlink a symlink", func() error { return unix.Unlink(at("sub", "symlink")) }, at("sub"), at("sub", "symlink")},
		{"rmdir", func() error { return unix.Rmdir(at("sub")) }, at(), at("sub")},
	}
	if old := n - kept; old >= 0 {
		for _, f := range left {
			path := p.path(old, f)
			steps = append(steps, step{"unlink the old " + f, func() error { return unix.Unlink(path) }, at(), path})
		}
		steps = append(steps, step{"rmdir the old", func() error { return unix.Rmdir(p.path(old)) }, at(), p.path(old)})
	}
	for _, s := range steps {
		if err := p.take(s); err != nil {
			return err
		}
	}
	return nil
}

// left are the names in a round's directory after it.
var left = []string{"file", "pipe"}

// take makes a call.
func (p *player) take(s step) error {
	err := s.do()
	found := func(path string) bool { return unix.Lstat(path, new(unix.Stat_t)) == nil }
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOENT), s.there == "", !found(s.there), s.gone != "" && found(s.gone):
		return fmt.Errorf("%s: %w", s.what, err)
	}
	_, err = fmt.Fprintln(p.out, Twice, s.what, s.there, err)
	return err
}

// write makes a file that is not there.
func (p *player) write(path string, n int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, n)
	return errors.Join(err, f.Close())
}

// Verify compares dir with the output of Run, and returns how many rounds it promised, and the lines that begin with Twice.
func Verify(dir, output string) (promised int, twice []string, err error) {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, Twice) {
			twice = append(twice, strings.TrimSpace(line))
		} else if _, err := fmt.Sscan(strings.TrimPrefix(line, "round "), &promised); err == nil {
			promised++
		}
	}
	var want, got []string
	for n := max(0, promised-kept); n < promised; n++ {
		want = append(want, name(n))
		text, err := os.ReadFile(filepath.Join(dir, name(n), "file"))
		if err != nil || string(text) != fmt.Sprintln(n) {
			return promised, twice, fmt.Errorf("round %d: %q, %w", n, text, err)
		}
		names, err := names(filepath.Join(dir, name(n)))
		if err != nil || !slices.Equal(names, left) {
			return promised, twice, fmt.Errorf("round %d: %q, %w", n, names, err)
		}
	}
	if got, err = names(dir); err != nil {
		return promised, twice, err
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return promised, twice, fmt.Errorf("there are %q, and should be %q", got, want)
	}
	return promised, twice, nil
}

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var all []string
	for _, e := range entries {
		if e.Name() != ".causeway" {
			all = append(all, e.Name())
		}
	}
	return all, err
}
