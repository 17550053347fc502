package balance

import (
	"slices"
	"testing"
)

func TestNatural(t *testing.T) {
	want := []string{"", "0", "00", "1", "2", "10", "18446744073709551616", "99999999999999999999999", "CFN", "CFN01", "CFN1", "CFN1a2", "CFN1a10", "CFN2", "CFN10", "CFN10b", "CFNx", "Größe2", "Größe10"}
	for i, a := range want {
		for j, b := range want {
			got, expected := natural(a, b), 0
			if i < j {
				expected = -1
			} else if i > j {
				expected = 1
			}
			if got != expected {
				t.Errorf("natural(%q, %q) = %d, want %d", a, b, got, expected)
			}
		}
	}
}

// FuzzNatural checks that the order is total: antisymmetric, transitive, and zero for equal names only.
func FuzzNatural(f *testing.F) {
	f.Add("a1", "a01", "a001")
	f.Add("1", "1a", "01")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		names := []string{a, b, c}
		for _, x := range names {
			for _, y := range names {
				if natural(x, y) != -natural(y, x) || (natural(x, y) == 0) != (x == y) {
					t.Fatalf("natural(%q, %q) = %d, natural(%q, %q) = %d", x, y, natural(x, y), y, x, natural(y, x))
				}
			}
		}
		slices.SortFunc(names, natural)
		if natural(names[0], names[2]) > 0 {
			t.Fatalf("%q is not sorted", names)
		}
	})
}
