package names

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"causeway"
	"causeway/gateway/smb/ntstatus"
)

func units(s string) []uint16 { return utf16.Encode([]rune(s)) }

func wire(s string) []byte { return AppendUTF16(nil, units(s)) }

func TestUnits(t *testing.T) {
	for stored, want := range map[string][]uint16{
		"a.txt":         units("a.txt"),
		"a:b":           {'a', 0xF022, 'b'},
		`"*:<>?\|`:      {0xF020, 0xF021, 0xF022, 0xF023, 0xF024, 0xF025, 0xF026, 0xF027},
		"\x01\x1f":      {0xF001, 0xF01F},
		"end. ":         {'e', 'n', 'd', '.', 0xF028},
		"end..":         {'e', 'n', 'd', '.', 0xF029},
		".":             {'.'},
		"..":            {'.', '.'},
		"...":           {'.', '.', 0xF029},
		"\xff":          {0xDCFF},
		"\xc3":          {0xDCC3},
		"\uf022":        {0xDCEF, 0xDC80, 0xDCA2},
		"\uf02a":        {0xF02A},
		"\U0001F600":    {0xD83D, 0xDE00},
		"\xed\xa0\x80x": {0xDCED, 0xDCA0, 0xDC80, 'x'},
	} {
		got := Units(stored)
		if !bytes.Equal(AppendUTF16(nil, got), AppendUTF16(nil, want)) {
			t.Errorf("%q: %x, want %x", stored, got, want)
		}
		if back, err := Stored(got); err != nil || back != stored {
			t.Errorf("%q: came back as %q, %v", stored, back, err)
		}
	}
}

func TestStoredRefuses(t *testing.T) {
	for name, u := range map[string][]uint16{
		"empty": {}, "control": {'a', 7}, "star": {'*'}, "slash": {'a', '/', 'b'}, "colon": {'a', ':'}, "high alone": {0xD800, 'a'},
		"high at the end": {0xD800}, "low of no byte": {0xDC41}, "low beyond": {0xDE00}, "NUL": {0},
		"escape of what is UTF-8": {0xDCC3, 0xDCA9}, "too long": units(strings.Repeat("a", 256)), "too many bytes": units(strings.Repeat("é", 128)),
	} {
		if got, err := Stored(u); err != ntstatus.ObjectNameInvalid {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := Stored(units("dot.")); got != "dot." || err != nil {
		t.Error("a period at the end is taken:", got, err)
	}
}

func TestFolding(t *testing.T) {
	nfc, nfd := "caf\u00e9", "cafe\u0301"
	for _, c := range []struct {
		f    Folding
		a, b string
		want bool
	}{
		{Exact, nfc, nfd, false}, {Composed, nfc, nfd, true}, {Composed, "a", "A", false}, {Insensitive, "CAF\u00c9", nfd, true},
		{Insensitive, "straße", "STRASSE", false}, {Insensitive, "µ", "\u039c", false}, {Insensitive, "ı", "I", false},
		{Insensitive, "ſ", "S", false}, {Insensitive, "ÿ", "Ÿ", true}, {Insensitive, "я", "Я", true}, {Insensitive, "\U00010428", "\U00010400", false},
		{Insensitive, "\u01f0", "J\u030c", true}, {Insensitive, "\xffa", "\xffA", true}, {Insensitive, "\xffa", "\ufffda", false},
		{Composed, "\u212b", "\u00c5", true}, {Insensitive, "readme.TXT", "README.txt", true},
	} {
		if got := c.f.Equal(c.a, c.b); got != c.want {
			t.Errorf("%d %q %q: %v", c.f, c.a, c.b, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Insensitive.Key("README.TXT") }); n != 0 {
		t.Error(n, "allocations")
	}
}

func TestSplit(t *testing.T) {
	for path, want := range map[string][]string{
		"": nil, "a": {"a"}, `a\b c\d`: {"a", "b c", "d"}, `dir\`: {"dir"}, "a::$DATA": {"a"}, `d\a::$data`: {"d", "a"}, "a\uf022b": {"a:b"},
		"a.": {"a."},
	} {
		got, err := Split(wire(path))
		if err != nil || strings.Join(got, "/") != strings.Join(want, "/") || len(got) != len(want) {
			t.Errorf("%q: %q, %v", path, got, err)
		}
	}
	for path, want := range map[string]error{
		`\a`: ntstatus.InvalidParameter, `\`: ntstatus.InvalidParameter, `..`: ntstatus.ObjectPathSyntaxBad, `a\..\b`: ntstatus.ObjectPathSyntaxBad,
		`.`: ntstatus.ObjectNameInvalid, `a\\b`: ntstatus.ObjectPathSyntaxBad, "a:b": ntstatus.ObjectNameInvalid, "a:b:$DATA": ntstatus.ObjectNameInvalid,
		`a::$DATA\b`: ntstatus.ObjectNameInvalid, "::$DATA": ntstatus.ObjectNameInvalid, "a*": ntstatus.ObjectNameInvalid, "\uf029": ntstatus.ObjectNameInvalid,
		"\uf029.": ntstatus.ObjectPathSyntaxBad, "a/b": ntstatus.ObjectNameInvalid, "a::$INDEX_ALLOCATION": ntstatus.ObjectNameInvalid,
		strings.Repeat(`a\`, MaxDepth) + "a": ntstatus.ObjectPathSyntaxBad,
	} {
		if got, err := Split(wire(path)); !errors.Is(err, want) {
			t.Errorf("%q: %q, %v, want %v", path, got, err, want)
		}
	}
	if _, err := Split([]byte{'a', 0, 'b'}); err != ntstatus.InvalidParameter {
		t.Error("odd length:", err)
	}
	if got := String(TrimDFS(units(`\server\share\a\b`))); got != `a\b` {
		t.Error(got)
	}
	if got := TrimDFS(units(`server\share`)); got != nil {
		t.Error(got)
	}
	if got := AppendPath(nil, []string{"a", "b:"}); !bytes.Equal(got, wire("\\a\\b\uf022")) {
		t.Errorf("%q", got)
	}
}

// The examples of [MS-FSA] 2.1.4.4 and those known of Windows' own matching.
func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "a", true}, {"*", ".", true}, {"*.*", "foo", false}, {"*.*", "foo.c", true}, {"*.", "foo", false}, {"?", "a", true}, {"?", "ab", false},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false}, {"*.c", "x.h.c", true},
		{"<.c", "x.h.c", true}, {"<.h", "x.h.c", false}, {"<", "x.c", false}, {"<", "x", true}, {"<c", "x.c", true}, {`<"*`, "x", true}, {`<"*`, "x.y", true},
		{">>>", "ab", true}, {">>>", "abcd", false}, {"a>>>.c", "ab.c", true}, {">.c", ".c", true}, {"???.c", "ab.c", false},
		{`a"`, "a", true}, {`a"`, "a.", false}, {`a"b`, "a.b", true}, {`a"b`, "axb", false}, {`foo"`, "foo", true},
		{"README", "readme", true}, {"caf\u00e9*", "CAFE\u0301.txt", true}, {"a\uf022*", "a:b", true}, {"*", "\xff", true}, {"?", "\xff", true},
		{">>>>>>>>\">>>", "foo.txt", true}, {">>>>>>>>\">>>", "foo", true}, {"<.txt", "a.txt.txt", true}, {"*f.", "f", false},
		{strings.Repeat("*a", 100) + "b", strings.Repeat("a", 200), false},
	} {
		p, err := ParsePattern(wire(c.pattern), Insensitive)
		if err != nil {
			t.Fatal(c.pattern, err)
		}
		if got := p.Match(c.name); got != c.want {
			t.Errorf("%q %q: %v", c.pattern, c.name, got)
		}
	}
	p, _ := ParsePattern(wire("A?"), Exact)
	if p.Match("ab") || !p.Match("Ab") {
		t.Error("an exact volume matches exactly")
	}
	p, _ = ParsePattern(wire("one"), Exact)
	if !p.Match("one") || p.Match("One") {
		t.Error("a name without wildcards is itself")
	}
	for _, bad := range []string{`a\*`, "a/b", "a:*", strings.Repeat("*", 256), "a|*"} {
		if _, err := ParsePattern(wire(bad), Insensitive); err != ntstatus.ObjectNameInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Every stored name comes back from its wire form, and no two share one.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{"a", "a:b.", "\xff\xc3", "\xef\x80\xa2", "\U0001F600 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		if stored == "" || len(stored) > causeway.MaxName || strings.ContainsAny(stored, "/\x00") {
			return
		}
		back, err := Stored(Units(stored))
		if err != nil || back != stored {
			t.Fatalf("%q: %x: %q, %v", stored, Units(stored), back, err)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add(wire(`a\b`))
	f.Add(wire("a::$DATA"))
	f.Add([]byte{0, 0xDC, 'a', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := Split(b)
		if err != nil {
			return
		}
		for _, p := range parts {
			if p == "" || p == "." || p == ".." || len(p) > causeway.MaxName || strings.ContainsAny(p, "/\x00") {
				t.Fatalf("%x: %q", b, p)
			}
		}
		if len(parts) == 0 {
			return
		}
		again, err := Split(AppendPath(nil, parts)[2:])
		if err != nil || strings.Join(again, "/") != strings.Join(parts, "/") {
			t.Fatalf("%q, %q, %v", parts, again, err)
		}
	})
}

// matchSlowly is the definition, by recursion.
func matchSlowly(p, n []uint16) bool {
	if len(p) == 0 {
		return len(n) == 0
	}
	rest := func(k int) bool { return matchSlowly(p[1:], n[k:]) }
	lastDot := len(n) > 0 && n[0] == '.' && !strings.Contains(String(n[1:]), ".")
	switch p[0] {
	case '*':
		return rest(0) || len(n) > 0 && matchSlowly(p, n[1:])
	case '<':
		return rest(0) || len(n) > 0 && !lastDot && matchSlowly(p, n[1:]) || lastDot && rest(1)
	case '?':
		return len(n) > 0 && rest(1)
	case '>':
		if len(n) == 0 || n[0] == '.' {
			return rest(0)
		}
		return rest(1)
	case '"':
		return len(n) == 0 && rest(0) || len(n) > 0 && n[0] == '.' && rest(1)
	}
	return len(n) > 0 && n[0] == p[0] && rest(1)
}

func FuzzPattern(f *testing.F) {
	f.Add([]byte(`<"*`), "a.b")
	f.Add([]byte(`>>>`), "a..b")
	f.Fuzz(func(t *testing.T, pattern []byte, name string) {
		p, err := ParsePattern(pattern, Insensitive)
		if err == nil && len(name) <= causeway.MaxName {
			p.Match(name)
		}
		p, err = ParsePattern(wire(string(pattern)), Exact)
		if err != nil || p.all || p.name != "" || len(pattern) > 10 || len(name) > 10 || name == "" {
			return
		}
		if got, want := p.Match(name), matchSlowly(p.units, Units(name)); got != want {
			t.Fatalf("%q %q: %v", pattern, name, got)
		}
	})
}
