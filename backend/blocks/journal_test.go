package blocks

import (
	"bytes"
	"testing"
)

// FuzzDecode: whatever lies on the device, only what was written as a record of this half is one.
func FuzzDecode(f *testing.F) {
	r := encode(3, &record{Ino: 7, Valid: []run{{1, 2, 3}}})
	f.Add(uint64(3), r)
	f.Add(uint64(4), r)
	f.Add(uint64(3), append(bytes.Clone(r), r...))
	f.Fuzz(func(t *testing.T, number uint64, b []byte) {
		got, n := decode(number, b)
		if (got == nil) != (n == 0) || n > len(b) {
			t.Fatal(got, n)
		}
		if bytes.HasPrefix(b, r) && (got == nil) != (number != 3) {
			t.Fatalf("half %d: %+v", number, got)
		}
	})
}
