package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	for name, c := range map[string]struct {
		events []string
		good   bool
		want   []string
	}{
		"good": {[]string{
			`{"Action":"output","Package":"p","Test":"A","Output":"noise\n"}`,
			`{"Action":"pass","Package":"p","Test":"A"}`,
			`{"Action":"output","Package":"p","Test":"B","Output":"=== RUN B\n"}`,
			`{"Action":"output","Package":"p","Test":"B","Output":"    x_test.go:1: needs root\n"}`,
			`{"Action":"skip","Package":"p","Test":"B"}`,
			`{"Action":"pass","Package":"p","Elapsed":1.25}`,
			`{"Action":"skip","Package":"empty"}`,
		}, true, []string{"skip  p B: x_test.go:1: needs root", "ok    p 1.2s", "\n1 passed, 0 failed, 1 skipped\n"}},
		"failed test": {[]string{
			`{"Action":"output","Package":"p","Test":"A","Output":"want 1, got 2\n"}`,
			`{"Action":"fail","Package":"p","Test":"A"}`,
			`{"Action":"fail","Package":"p","Elapsed":1}`,
		}, false, []string{"FAIL  p A\nwant 1, got 2\n", "FAIL  p 1.0s", "\n0 passed, 1 failed, 0 skipped\n"}},
		"does not build": {[]string{
			`{"Action":"pass","Package":"q","Test":"A"}`,
			`{"Action":"build-output","ImportPath":"p [p.test]","Output":"x.go:1: syntax error\n"}`,
			`{"Action":"build-fail","ImportPath":"p [p.test]"}`,
			`{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
		}, false, []string{"x.go:1: syntax error", "\n1 passed, 1 failed, 0 skipped\n"}},
		"panic": {[]string{
			`{"Action":"run","Package":"p","Test":"A"}`,
			`{"Action":"output","Package":"p","Test":"A","Output":"panic: boom\n"}`,
			`{"Action":"output","Package":"p","Output":"exit status 2\n"}`,
			`{"Action":"fail","Package":"p"}`,
		}, false, []string{"panic: boom", "exit status 2", "1 failed"}},
		"nothing": {nil, false, []string{"0 passed, 0 failed"}},
		"noise":   {[]string{"go: something", `{"Action":"pass","Package":"p","Test":"A"}`}, true, []string{"go: something\n", "1 passed"}},
	} {
		out := &strings.Builder{}
		s := summary{out: out, output: map[string][]string{}, failing: map[string]bool{}}
		if err := s.read(strings.NewReader(strings.Join(c.events, "\n") + "\n")); err != nil {
			t.Fatal(err)
		}
		if good := s.end(); good != c.good {
			t.Errorf("%s: %v", name, good)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, out)
			}
		}
		if strings.Contains(out.String(), "noise") {
			t.Errorf("%s: shows the output of a test that passed", name)
		}
	}
}
