package table

import (
	"fmt"
	"testing"

	"causeway"
)

// BenchmarkManyLocks locks and unlocks a byte of a file on which n others are locked: by one owner, and by as many owners.
func BenchmarkManyLocks(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		for _, owners := range []int{1, n} {
			b.Run(fmt.Sprintf("locks=%d/owners=%d", n, owners), func(b *testing.B) {
				t, h := New(Limits{}), object1("f")
				for i := range n {
					t.Lock(h, owner1(fmt.Sprint("c/", i%owners)), Request{Span: causeway.Span{Offset: uint64(i) * 4, Length: 1}, Exclusive: true})
				}
				o := owner1("c/0")
				for i := 0; b.Loop(); i++ {
					at := causeway.Span{Offset: uint64(i*7919%n)*4 + 2, Length: 1}
					if _, code := t.Lock(h, o, Request{Span: at, Exclusive: true}); code != causeway.OK {
						b.Fatal(code)
					}
					t.Unlock(h, o, at)
				}
			})
		}
	}
}
