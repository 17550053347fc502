package check

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// C is what a test has in its hands: a directory of its own and the record of its checks.
type C struct {
	Dir string // mode 0755, of root

	name     string
	checks   int
	failures []string
	skipped  string
}

// stop is the panic that ends a test whose preparation failed.
type stop struct{}

func (c *C) fail(format string, args ...any) {
	_, file, line, _ := runtime.Caller(2)
	c.failures = append(c.failures, fmt.Sprintf(format, args...)+fmt.Sprintf(" [%s:%d]", filepath.Base(file), line))
}

// that checks a condition; the message says what should hold and what was found.
func (c *C) that(holds bool, format string, args ...any) {
	c.checks++
	if !holds {
		c.fail(format, args...)
	}
}

// ok checks that a call succeeded.
func (c *C) ok(err error, format string, args ...any) {
	c.checks++
	if err != nil {
		c.fail("%s: got %s, want success", fmt.Sprintf(format, args...), name(err))
	}
}

// fails checks that a call failed with one of the errors that are allowed for it.
func (c *C) fails(err error, want unix.Errno, format string, args ...any) {
	c.checks++
	if !errors.Is(err, want) {
		c.fail("%s: got %s, want %s", fmt.Sprintf(format, args...), name(err), name(want))
	}
}

// failsWith is fails for calls where POSIX leaves the choice between two errors.
func (c *C) failsWith(err error, one, other unix.Errno, format string, args ...any) {
	c.checks++
	if !errors.Is(err, one) && !errors.Is(err, other) {
		c.fail("%s: got %s, want %s or %s", fmt.Sprintf(format, args...), name(err), name(one), name(other))
	}
}

// must ends the test when a step of its preparation fails.
func (c *C) must(err error, format string, args ...any) {
	if err != nil {
		c.fail("preparation: %s: %v", fmt.Sprintf(format, args...), err)
		panic(stop{})
	}
}

// skip ends the test: what it needs does not exist here.
func (c *C) skip(reason string) {
	c.skipped = reason
	panic(stop{})
}

func name(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return fmt.Sprint(err)
}

// tick lets enough time pass that the next change has a later time, even where the kernel counts in ticks of 10 ms.
func tick() { time.Sleep(25 * time.Millisecond) }

// path returns a name in the test's directory.
func (c *C) path(names ...string) string {
	return filepath.Join(append([]string{c.Dir}, names...)...)
}
