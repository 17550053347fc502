package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokenFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" abc.def \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f           nodeFlags
		stdin, want string
		fails       bool
	}{
		"a file":         {f: nodeFlags{tokenFile: file}, want: "abc.def"},
		"standard input": {f: nodeFlags{tokenFile: "-"}, stdin: "xyz\n", want: "xyz"},
		"neither":        {want: ""},
		"nothing there":  {f: nodeFlags{tokenFile: "-"}, fails: true},
		"no file":        {f: nodeFlags{tokenFile: file + "x"}, fails: true},
		"both":           {f: nodeFlags{tokenFile: file, membership: membership{token: "t"}}, fails: true},
	} {
		err := c.f.readToken(strings.NewReader(c.stdin))
		if (err != nil) != c.fails || !c.fails && c.f.token != c.want {
			t.Errorf("%s: %q, %v", name, c.f.token, err)
		}
	}
}
