package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"causeway/cmd/causeway/config"
)

func TestCommandLine(t *testing.T) {
	dir := share(t, "data")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("volumes:\n  - path: "+dir+"\n    asink: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(t.TempDir(), "good")
	if err := os.WriteFile(good, []byte("volumes:\n  - path: "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		want   string // in what is printed, to either
	}{
		{"version", 0, "causeway devel"},
		{"--version", 0, "causeway devel"},
		{"help", 0, "causeway serve"},
		{"serve --help", 0, "--portmap"},
		{"completion bash", 0, "bash completion"},
		{"config example", 0, "volumes:"},
		{"config check " + good, 0, "good, 1 volume"},
		{"config check " + file, 1, file + ":3:5: "},
		{"config check " + file + "x", 1, "no such file"},
		{"config check", 2, "accepts 1 arg"},
		{"bogus", 2, "unknown command"},
		{"serv", 2, "Did you mean this?"},
		{"serve", 2, "there is nothing to serve"},
		{"serve --bogus", 2, "unknown flag: --bogus"},
		{"serve " + dir + "/none", 2, "mkdir -p " + dir + "/none"},
		{"serve " + file, 2, "is not a directory"},
		{"serve a=" + dir + " a=" + dir, 2, `another volume is named "a"`},
		{"serve =" + dir, 2, "the name before = is missing"},
		{"serve a b=", 2, "the directory is missing"},
		{"serve a/b=" + dir, 2, "does not exist"},
		{"serve " + dir + " --listen here", 2, `--listen: "here" is not an IP address`},
		{"serve " + dir + " --allow 10.0.0.0/8", 2, `--allow: "10.0.0.0/8" does not say ro or rw`},
		{"serve " + dir + " --allow 10.0.0.0/8(rw,sync)", 2, "as in 10.0.0.0/8=rw"},
		{"serve " + dir + " --allow *=rw", 2, "everybody is 0.0.0.0/0"},
		{"serve " + dir + " --smb 445", 2, "as in 0.0.0.0:445"},
		{"serve " + dir + " --grace 1ms", 2, "--grace: "},
		{"serve " + dir + " --log-level loud", 2, "--log-level: "},
		{"serve --config " + file, 2, file + ":3:5: "},
		{"serve " + dir + " --state-dir " + dir + "/state", 1, "clients could read the keys"},
		{"serve a=" + dir + " b=" + filepath.Dir(dir) + " --state-dir " + t.TempDir(), 1, "lies inside the volume b"},
		{"serve " + dir + " --listen 192.0.2.1:0 --admin off --state-dir " + t.TempDir(), 1, "does not have that address"},
		{"status --state-dir " + t.TempDir(), 1, "no gateway runs with the state directory"},
		{"reload --state-dir " + t.TempDir(), 1, "no gateway runs with the state directory"},
		{"volume set home", 2, "say what to change"},
		{"node set g1", 2, "say what to change"},
		{"status extra", 2, "unknown command"},
	} {
		stdout, stderr, status := run(t, strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("causeway %s: status %d, want %d with %q:\n%s%s", c.args, status, c.status, c.want, stdout, stderr)
		}
		if status != 0 && stdout != "" {
			t.Errorf("causeway %s: a failure prints to standard output: %s", c.args, stdout)
		}
	}
}

func TestParseVolume(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]config.Volume{
		"/srv/data":     {Path: "/srv/data"},
		"/srv/a=b":      {Path: "/srv/a=b"},
		"./a=b":         {Path: filepath.Join(here, "a=b")},
		"x=/srv/data/":  {Name: "x", Path: "/srv/data"},
		"x=rel":         {Name: "x", Path: filepath.Join(here, "rel")},
		"x=/srv/y=z":    {Name: "x", Path: "/srv/y=z"},
		"rel/../other/": {Path: filepath.Join(here, "other")},
	} {
		if got, err := parseVolume(arg); err != nil || got.Name != want.Name || got.Path != want.Path {
			t.Errorf("%s: %+v, %v", arg, got, err)
		}
	}
}

// TestFlagsAreSettings holds that the file and the command line can say the same.
func TestFlagsAreSettings(t *testing.T) {
	for _, line := range strings.Split(config.Example, "\n") {
		key, _, ok := strings.Cut(strings.TrimPrefix(line, "#"), ":")
		if !ok || strings.ContainsAny(key, " -") && key != "state-dir" && key != "log-format" && key != "log-level" && key != "read-only" || key == "volumes" {
			continue
		}
		if newServe().Flags().Lookup(key) == nil {
			t.Errorf("%s can stand in the file, but there is no --%s", key, key)
		}
	}
}

func TestOverlay(t *testing.T) {
	dir := share(t, "data")
	file := filepath.Join(t.TempDir(), "file")
	text := "listen: 127.0.0.1:1\nlog-level: warn\nallow: [10.0.0.0/8=rw]\nvolumes:\n  - {path: " + dir + ", name: a}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	other := share(t, "other")
	s, flags := &settings{}, pflag.NewFlagSet("serve", pflag.ContinueOnError)
	s.register(flags)
	if err := flags.Parse([]string{"--config", file, "--async", "--allow", "::1=ro", "--listen", "127.0.0.1:2"}); err != nil {
		t.Fatal(err)
	}
	s.args = []string{"b=" + other}
	got, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	if got.ListenAddr.Port() != 2 || got.LogLevel != "warn" || len(got.Volumes) != 2 {
		t.Errorf("%+v", got)
	}
	for _, v := range got.Volumes {
		if !v.Modes.Async || len(v.Rules) != 1 || !v.Rules[0].ReadOnly {
			t.Errorf("%+v", v)
		}
	}
}
