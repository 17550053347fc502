package sparse_test

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"causeway/internal/sparse"
)

// TestAgainstBytes compares with a plain byte slice.
func TestAgainstBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const space = 5 * sparse.PageSize
		p, model := make(sparse.Pages), make([]byte, space)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			off := rapid.IntRange(0, space).Draw(t, "off")
			n := rapid.IntRange(0, space-off).Draw(t, "n")
			if rapid.Bool().Draw(t, "write") {
				data := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(t, "byte"))}, n)
				grown := p.Bytes() + p.Missing(uint64(off), uint64(n))*sparse.PageSize
				p.Write(data, uint64(off))
				copy(model[off:], data)
				if p.Bytes() != grown {
					t.Fatalf("%d bytes of storage, want %d", p.Bytes(), grown)
				}
			} else {
				p.Zero(uint64(off), uint64(off+n))
				clear(model[off : off+n])
			}
			got := make([]byte, space)
			p.Clone().Read(got, 0)
			if !bytes.Equal(got, model) {
				t.Fatal("contents differ")
			}
		}
	})
}

func TestEndOfSpace(t *testing.T) {
	p := make(sparse.Pages)
	p.Write([]byte("end"), math.MaxUint64-3)
	p.Zero(5, math.MaxUint64-2)
	got := make([]byte, 3)
	p.Read(got, math.MaxUint64-3)
	if string(got) != "\x00nd" {
		t.Fatalf("%q", got)
	}
	p.Zero(0, math.MaxUint64)
	if p.Read(got, math.MaxUint64-3); string(got) != "\x00\x00\x00" {
		t.Fatalf("%q", got)
	}
}
