package causeway

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	longest := strings.Repeat("n", MaxName)
	for name, want := range map[string]Code{
		"a": OK, ".": OK, "..": OK, "\xff\n": OK, longest: OK,
		"": ErrBadName, "/": ErrBadName, "a/b": ErrBadName, "a\x00": ErrBadName, longest + "n": ErrNameTooLong,
	} {
		if got := CheckName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
