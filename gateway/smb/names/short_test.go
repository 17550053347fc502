package names

import "testing"

func TestShort(t *testing.T) {
	for name, want := range map[string]string{"a": "A", "readme.txt": "README.TXT", "12345678.123": "12345678.123", "no-ext": "NO-EXT"} {
		if got := Short(name); got != want || LooksShort(got) {
			t.Errorf("%s: %s", name, got)
		}
	}
	seen := map[string]string{}
	for _, name := range []string{"a longer name.html", "a longer name.htm", "123456789", ".hidden", "two.dots.txt", "ümlaut", "日本", "a.", "x y", "end.texts"} {
		got := Short(name)
		if len(got) > 12 || !LooksShort(got) || seen[got] != "" {
			t.Errorf("%s: %s, as %s", name, got, seen[got])
		}
		seen[got] = name
	}
}
