package names

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Folding says which spellings of a name a volume takes for the same.
type Folding uint8

// The foldings.
const (
	Exact       Folding = iota // byte by byte
	Composed                   // NFC and NFD alike: what macOS needs of a case-sensitive volume
	Insensitive                // case ignored besides: what Windows expects
)

// Key returns what is equal for names that f takes for the same. Keys are for comparing only: never stored, never shown. Of an ASCII
// name it allocates nothing unless a letter has to change.
func (f Folding) Key(name string) string {
	if f == Exact {
		return name
	}
	ascii, upper := true, true
	for i := 0; i < len(name) && ascii; i++ {
		ascii = name[i] < utf8.RuneSelf
		upper = upper && (name[i] < 'a' || name[i] > 'z')
	}
	switch {
	case ascii && (upper || f == Composed):
		return name
	case f == Composed:
		return norm.NFC.String(name)
	}
	return norm.NFC.String(string(upcase(norm.NFD.String(name))))
}

// Equal reports whether f takes both names for the same.
func (f Folding) Equal(a, b string) bool { return a == b || f != Exact && f.Key(a) == f.Key(b) }

// upcase maps each character by itself and leaves bytes that are no UTF-8 alone.
func upcase(name string) []byte {
	out := make([]byte, 0, len(name)+4)
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 {
			out = append(out, name[i])
		} else {
			out = utf8.AppendRune(out, Upper(r))
		}
		i += n
	}
	return out
}

// Upper is the upper-case mapping of one character as NTFS's $UpCase has it: simple, without locale, inside the basic plane only.
// Unlike Unicode it keeps characters whose capital is one of another: the micro sign, the dotless i and the long s.
func Upper(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	case r > 0xFFFF, r == 'µ', r == 'ı', r == 'ſ':
		return r
	}
	if u := unicode.ToUpper(r); u <= 0xFFFF {
		return u
	}
	return r
}
