package balance

import (
	"cmp"
	"strings"
)

// natural compares names with their runs of digits as numbers: CFN2 before CFN10. Names that differ in leading zeros only are
// compared as strings, so that no two different names are equal.
func natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		if digits(x) == 0 || digits(y) == 0 {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		i, j := digits(x), digits(y)
		p, q := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
		if c := cmp.Or(cmp.Compare(len(p), len(q)), strings.Compare(p, q)); c != 0 {
			return c
		}
		x, y = x[i:], y[j:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// digits counts the digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}
