package config

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway"
)

func TestParseRule(t *testing.T) {
	nobody := causeway.ExportRule{AnonUID: 65534, AnonGID: 65534}
	with := func(prefix string, change func(*causeway.ExportRule)) causeway.ExportRule {
		r := nobody
		r.Prefix = netip.MustParsePrefix(prefix)
		change(&r)
		return r
	}
	for text, want := range map[string]causeway.ExportRule{
		"10.0.0.0/8=rw":               with("10.0.0.0/8", func(*causeway.ExportRule) {}),
		"10.1.2.3=ro":                 with("10.1.2.3/32", func(r *causeway.ExportRule) { r.ReadOnly = true }),
		"fd00::/8=rw,no_root_squash":  with("fd00::/8", func(r *causeway.ExportRule) { r.Squash = causeway.NoRootSquash }),
		"::1=rw,root_squash,insecure": with("::1/128", func(*causeway.ExportRule) {}),
		"::ffff:10.0.0.1=rw,secure":   with("10.0.0.1/32", func(r *causeway.ExportRule) { r.Secure = true }),
		"0.0.0.0/0=ro,all_squash,anonuid=7,anongid=4294967294": with("0.0.0.0/0", func(r *causeway.ExportRule) {
			r.ReadOnly, r.Squash, r.AnonUID, r.AnonGID = true, causeway.AllSquash, 7, 4294967294
		}),
	} {
		got, err := ParseRule(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
		if again, err := ParseRule(FormatRule(&got)); err != nil || again != got {
			t.Errorf("%s: formatted as %s, which is %+v, %v", text, FormatRule(&got), again, err)
		}
	}
}

func TestParseRuleNamesTheFault(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/8":                            "does not say ro or rw",
		"10.0.0.0/8=":                           "neither ro nor rw",
		"10.0.0.0/8=root_squash,rw":             `"root_squash", neither ro nor rw`,
		"10.0.0.1/8=rw":                         "the network is 10.0.0.0/8",
		"10.0.0.0/33=rw":                        `"10.0.0.0/33" is neither`,
		"lan=rw":                                `"lan" is neither`,
		"fe80::1%eth0=rw":                       "zone",
		"::ffff:10.0.0.0/104=rw":                "write it as IPv4",
		"10.0.0.0/8=rw,rw":                      "rw after rw",
		"10.0.0.0/8=rw,ro":                      "ro after rw",
		"10.0.0.0/8=rw,all_squash,root_squash":  "root_squash after all_squash",
		"10.0.0.0/8=rw,secure,insecure":         "insecure after secure",
		"10.0.0.0/8=rw,anonuid=1,anonuid=2":     "anonuid=2 after anonuid=1",
		"10.0.0.0/8=rw,anonuid=-1":              "anonuid wants a number",
		"10.0.0.0/8=rw,anongid=4294967295":      "anongid wants a number",
		"10.0.0.0/8=rw,anonuid":                 "anonuid wants a number",
		"10.0.0.0/8=rw,":                        `"" is none of`,
		"10.0.0.0/8=rw,sync":                    `"sync" is none of`,
		"10.0.0.0/8=rw,secure=1":                `"secure=1" is none of`,
		"10.0.0.0/8=rw, secure":                 `" secure" is none of`,
		"10.0.0.0/8=rw,no_root_squash=anonuid=": "is none of",
	} {
		if r, err := ParseRule(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want an error with %q", text, r, err, want)
		}
	}
}

func TestDefault(t *testing.T) {
	c := Default()
	c.Volumes = []Volume{{Path: "/srv/data"}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	v := causeway.Volume{Exports: c.Volumes[0].Rules}
	for _, client := range []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"} {
		r := v.Rule(netip.MustParseAddr(client))
		if r == nil || r.ReadOnly || r.Secure || r.Squash != causeway.RootSquash || r.AnonUID != 65534 || r.AnonGID != 65534 {
			t.Errorf("%s: %+v", client, r)
		}
	}
	for _, client := range []string{"10.0.0.1", "192.168.1.2", "fe80::1", "::"} {
		if r := v.Rule(netip.MustParseAddr(client)); r != nil {
			t.Errorf("%s is let in by %+v", client, r)
		}
	}
	if c.ListenAddr != netip.MustParseAddrPort("127.0.0.1:2049") || c.AdminAddr != netip.MustParseAddrPort("127.0.0.1:9440") {
		t.Error(c.ListenAddr, c.AdminAddr)
	}
	if c.Volumes[0].Name != "data" || c.Volumes[0].Modes != (Modes{}) {
		t.Errorf("%+v", c.Volumes[0])
	}
}

func TestExampleIsTheDefault(t *testing.T) {
	f, err := Parse("example", []byte(Example))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Volumes = []Volume{{Path: "/srv/data"}}
	if err := want.Validate(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Config, want) {
		t.Errorf("example: %+v\ndefault: %+v", f.Config, want)
	}
}

// TestExampleUncommented parses the example with the settings that it only shows.
func TestExampleUncommented(t *testing.T) {
	text := Example
	for _, line := range []string{"#state-dir", "# - 192.168.1.0/24", "# - 192.168.1.7", "#   name:", "#   async:", "#   exclusive:", "#   read-only:", "#   allow:", "#     - 10."} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("the example does not show %q", line)
		}
		space := " "
		if line[1] == 's' {
			space = ""
		}
		text = strings.Replace(text, "\n"+line, "\n"+space+line[1:], 1)
	}
	f, err := Parse("example", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v := f.Config.Volumes[0]
	if f.Config.StateDir != "/var/lib/causeway" || len(f.Config.Allow) != 4 || v.Modes != (Modes{true, true, true}) || len(v.Rules) != 1 || v.Rules[0].Squash != causeway.AllSquash {
		t.Errorf("%+v", f.Config)
	}
}

func TestFileFaultsAreLocated(t *testing.T) {
	for _, c := range []struct {
		text, want string
	}{
		{"listen: here\n", "f:1:9: listen: "},
		{"portmap: maybe\n", "f:1:10: "},
		{"\nlisten: 127.0.0.1:2049\nprotmap: true\n", "f:3:1: "},
		{"allow:\n  - 127.0.0.0/8=rw\n  - 10.0.0.0/8\n", `f:3:5: allow[1]: "10.0.0.0/8" does not say`},
		{"volumes:\n  - path: /a\n    allow:\n      - 10.0.0.0/8=rw,bogus\n", "f:4:9: volumes[0].allow[0]: "},
		{"volumes:\n  - path: /a\n  - name: b\n", "f:3:"},
		{"volumes:\n  - path: /a\n  - path: /b/a\n", "f:3:"},
		{"volumes:\n  - path: /a\n  - path: /a/../a\n    name: b\n", "f:3:11: volumes[1].path: /a is the volume"},
		{"volumes:\n  - path: a\n", "f:2:11: volumes[0].path: "},
		{"volumes:\n  - path: /\n", "f:2:11: "},
		{"volumes:\n  - {path: /x, name: a/b}\n", "f:2:22: "},
		{"listen: 127.0.0.1\nlisten: 127.0.0.2\n", "f:2:1: "},
		{"grace: soon\n", "f:1:8: "},
		{"grace: 2h\n", "f:1:8: grace: "},
		{"log-level: loud\n", "f:1:12: log-level: "},
		{"log-format: xml\n", "f:1:13: log-format: "},
		{"a: [b\n", "f:1:"},
		{"---\nlisten: 127.0.0.1\n---\nlisten: 127.0.0.1\n", "f: more than one"},
		{"- x\n", "f:1:"},
		{"a: b\n" + strings.Repeat("[", 1000), "f:2:1: more than 64 brackets"},
		{"a: b\n" + strings.Repeat("- ", 1000), "f:2:1: more than 8 lists"},
		{"a: &x [b]\nlisten: *x\n", "f:1:"},
	} {
		_, err := Parse("f", []byte(c.text))
		where := (*FileError)(nil)
		if !errors.As(err, &where) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v; want %q", c.text, err, c.want)
		}
	}
}

func TestVolumeSettings(t *testing.T) {
	f, err := Parse("f", []byte(`
listen: "[::1]:12049"
admin: off
grace: 5s
async: true
allow: [10.0.0.0/8=ro]
volumes:
  - path: /srv/a
  - {path: /srv/b, name: bee, async: false, exclusive: true, allow: []}
`))
	if err != nil {
		t.Fatal(err)
	}
	c := f.Config
	if c.ListenAddr.String() != "[::1]:12049" || c.AdminAddr.IsValid() || c.GracePeriod != 5*time.Second {
		t.Errorf("%+v", c)
	}
	a, b := c.Volumes[0], c.Volumes[1]
	if a.Name != "a" || a.Modes != (Modes{Async: true}) || len(a.Rules) != 1 || !a.Rules[0].ReadOnly {
		t.Errorf("%+v", a)
	}
	if b.Name != "bee" || b.Modes != (Modes{Exclusive: true}) || len(b.Rules) != 0 {
		t.Errorf("%+v: an empty list lets nobody in", b)
	}
}

func TestEmptyFile(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n"} {
		f, err := Parse("f", []byte(text))
		if err != nil || f.Config.Listen != Default().Listen {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheckPaths(t *testing.T) {
	dir := t.TempDir()
	f, err := Parse("f", []byte("volumes:\n  - path: "+dir+"\n    name: a\n  - path: "+dir+"/none\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = f.Locate(f.Config.CheckPaths())
	if err == nil || !strings.HasPrefix(err.Error(), "f:4:11: volumes[1].path: ") || !strings.Contains(err.Error(), "mkdir -p "+dir+"/none") {
		t.Error(err)
	}
	f.Config.Volumes = f.Config.Volumes[:1]
	if err := f.Config.CheckPaths(); err != nil {
		t.Error(err)
	}
}

// FuzzParse looks for files that the parser does not end with, and for configurations that are not what Validate lets pass.
func FuzzParse(f *testing.F) {
	f.Add(Example)
	f.Add("volumes:\n  - {path: /srv/a, name: a, allow: [10.0.0.0/8=rw]}\n")
	f.Add("a: &x [*x]\n? - - b\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 16<<10 {
			return // larger ones are only slower
		}
		file, err := Parse("f", []byte(text))
		if err != nil {
			return
		}
		if err := file.Config.Validate(); err != nil {
			t.Fatalf("%q: valid, and then not: %v", text, err)
		}
	})
}

func FuzzParseRule(f *testing.F) {
	f.Add("10.0.0.0/8=rw,root_squash,anonuid=1,anongid=2,secure")
	f.Add("::1=ro,all_squash")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(text)
		if err != nil {
			return
		}
		if again, err := ParseRule(FormatRule(&r)); err != nil || again != r {
			t.Fatalf("%q is %+v; formatted %q is %+v, %v", text, r, FormatRule(&r), again, err)
		}
	})
}
