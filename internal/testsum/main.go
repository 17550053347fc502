// Command testsum reads the events of `go test -json` from standard input and prints what a person wants to see: one line per
// package, the output of what failed, and at the end "N passed, N failed, N skipped". Its exit status is 1 if anything failed
// or nothing was run.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one of test2json's (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
	FailedBuild                               string
}

func main() {
	s := summary{out: os.Stdout, output: map[string][]string{}, failing: map[string]bool{}}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	if !s.end() {
		os.Exit(1)
	}
}

// summary counts. The output of a test is kept until it is known how the test ends.
type summary struct {
	out                     io.Writer
	output                  map[string][]string // by package and test
	failing                 map[string]bool     // packages with a failed test
	passed, failed, skipped int
}

func (s *summary) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			s.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// line handles a line; what is no event is passed through.
func (s *summary) line(line string) {
	e := event{}
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(s.out, line)
		return
	}
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		s.output[key] = append(s.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, key)
		} else {
			s.endTest(e, key)
		}
		delete(s.output, key)
	}
}

func (s *summary) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
		fmt.Fprintf(s.out, "skip  %s %s: %s\n", e.Package, e.Test, s.reason(key))
	case "fail":
		s.failed++
		s.failing[e.Package] = true
		fmt.Fprintf(s.out, "FAIL  %s %s\n%s", e.Package, e.Test, strings.Join(s.output[key], ""))
	}
}

// reason is what a skipped test said.
func (s *summary) reason(key string) string {
	for _, line := range s.output[key] {
		if !strings.HasPrefix(line, "===") && !strings.HasPrefix(strings.TrimSpace(line), "---") {
			return strings.TrimSpace(line)
		}
	}
	return "no reason given"
}

// endPackage prints the line of a package. One that fails without a failed test did not build, panicked or took too long.
func (s *summary) endPackage(e event, key string) {
	if e.Action != "fail" {
		if e.Action == "pass" {
			fmt.Fprintf(s.out, "ok    %s %.1fs\n", e.Package, e.Elapsed)
		}
		return
	}
	fmt.Fprintf(s.out, "FAIL  %s %.1fs\n", e.Package, e.Elapsed)
	if !s.failing[e.Package] {
		s.failed++
		fmt.Fprint(s.out, strings.Join(s.output[e.FailedBuild+" "], ""), strings.Join(s.output[key], ""))
		for other, lines := range s.output { // of a test that never ended
			if strings.HasPrefix(other, e.Package+" ") && other != key {
				fmt.Fprint(s.out, strings.Join(lines, ""))
			}
		}
	}
	s.failing[e.Package] = false
}

// end prints the result and reports whether it is good.
func (s *summary) end() bool {
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return s.failed == 0 && s.passed > 0
}
