package check

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Test is a named group of checks that share a fresh directory.
type Test struct {
	Name string
	Run  func(c *C)
}

// Tests returns the whole suite in its order.
func Tests() []Test {
	return slices.Concat(pathTests, accessTests, openTests, linkTests, unlinkTests, renameTests, renameKindTests, mkdirTests, rmdirTests,
		symlinkTests, mknodTests, chmodTests, chownTests, setidTests, truncateTests, timeTests, stickyTests, dataTests, mapTests,
		listTests, nameTests, aclTests)
}

// Options say what to run and where.
type Options struct {
	Dir      string         // in the file system to be tested; a directory is made in it and removed
	Pattern  *regexp.Regexp // of the names of tests; nil runs all
	Skip     *regexp.Regexp // of the names of tests that are not run; nil skips none
	Protocol string         // selects the known differences: nfs3, or empty for none
	Out      io.Writer
	Verbose  bool // name each test, with its time
}

// Summary counts what happened.
type Summary struct{ Tests, Checks, Failed, Known int }

// Run runs the suite, writes one line per failed check and returns the counts. It needs root.
func Run(o Options) (Summary, error) {
	unix.Umask(0)
	base, err := os.MkdirTemp(o.Dir, "check-")
	if err != nil {
		return Summary{}, err
	}
	defer os.RemoveAll(base)
	if err := os.Chmod(base, 0o755); err != nil {
		return Summary{}, err
	}
	var sum Summary
	for i, test := range Tests() {
		if o.Pattern != nil && !o.Pattern.MatchString(test.Name) || o.Skip != nil && o.Skip.MatchString(test.Name) {
			continue
		}
		c := &C{Dir: filepath.Join(base, fmt.Sprint("t", i)), name: test.Name}
		start := time.Now()
		runTest(c, test)
		if o.Verbose {
			fmt.Fprintf(o.Out, "%6.2f s, %4d checks  %s\n", time.Since(start).Seconds(), c.checks, c.name)
		}
		o.report(c, &sum)
		os.RemoveAll(c.Dir)
	}
	return sum, nil
}

func runTest(c *C, test Test) {
	defer c.recoverStop()
	c.must(os.Mkdir(c.Dir, 0o755), "make the directory of the test")
	test.Run(c)
}

// recoverStop ends a test whose preparation failed; a panic of another kind is a failed check, so that others go on.
func (c *C) recoverStop() {
	switch reason := recover().(type) {
	case nil, stop:
	default:
		c.failures = append(c.failures, fmt.Sprintf("panic: %v\n%s", reason, debug.Stack()))
	}
}

func (o *Options) report(c *C, sum *Summary) {
	sum.Tests++
	sum.Checks += c.checks
	for _, failure := range c.failures {
		line := c.name + ": " + failure
		if reason, ok := knownReason(o.Protocol, line); ok {
			sum.Known++
			fmt.Fprintf(o.Out, "known %s (%s)\n", line, reason)
			continue
		}
		sum.Failed++
		fmt.Fprintf(o.Out, "FAIL  %s\n", line)
	}
	if c.skipped != "" {
		fmt.Fprintf(o.Out, "skip  %s: %s\n", c.name, c.skipped)
	}
}

func knownReason(protocol, line string) (string, bool) {
	for _, k := range known[protocol] {
		if strings.HasPrefix(line, k.prefix) {
			return k.reason, true
		}
	}
	return "", false
}
