package fscc

import (
	"strings"
	"testing"

	"causeway"
)

// Every decoder of what a client sends: none panics, and what it accepts is within its bounds.
func FuzzRequests(f *testing.F) {
	f.Add(make([]byte, 8))
	f.Add(make([]byte, 56))
	f.Add([]byte{12, 0, 0, 0, 0, 1, 2, 0, 'x', 0, 7, 8, 0, 0, 0, 0, 0x80, 1, 0, 0, 'y', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if basic, err := DecodeBasic(b); err == nil && !basic.Write.Valid() {
			t.Fatal(basic)
		}
		if n, err := DecodeSize(b); err == nil && n>>63 != 0 {
			t.Fatal(n)
		}
		_, _ = DecodeMode(b)
		_, _ = DecodeDisposition(b, true)
		if r, err := DecodeRename(b, false); err == nil && len(r.Path)+20 > len(b) {
			t.Fatal(len(r.Path))
		}
		if eas, err := DecodeEAs(b); err == nil && len(eas) > MaxEAs {
			t.Fatal(len(eas))
		}
		if c, _, err := DecodeCopyChunk(b); err == nil && 32+24*len(c.Chunks) > len(b) {
			t.Fatal(len(c.Chunks))
		}
		if s, err := DecodeZeroData(b); err == nil && s.End()>>63 != 0 {
			t.Fatal(s)
		}
		if s, err := DecodeAllocatedRanges(b); err == nil && s.End()>>63 != 0 {
			t.Fatal(s)
		}
		DecodeSetSparse(b)
	})
}

func FuzzReparse(f *testing.F) {
	link, _ := AppendSymlink(nil, "a/../b:", 100)
	f.Add(link)
	f.Add([]byte("\x14\x00\x00\x80\x10\x00\x00\x00CHR\x00\x00\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReparse(b)
		if err != nil || r.Type != causeway.TypeSymlink {
			return
		}
		if len(r.Target) > causeway.MaxPath || strings.Contains(r.Target, "\x00") {
			t.Fatalf("%q", r.Target)
		}
		again, err := AppendSymlink(nil, r.Target, MaxReparse)
		if err != nil {
			return // both names together may be too long
		}
		if back, err := DecodeReparse(again); err == nil && back != r {
			t.Fatalf("%q, %q", r.Target, back.Target)
		}
	})
}

func FuzzDOS(f *testing.F) {
	f.Add((&DOS{Attributes: AttrHidden}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDOS(b)
		if err != nil {
			return
		}
		if back, err := DecodeDOS(d.Encode()); err != nil || back != d {
			t.Fatal(d, back, err)
		}
	})
}

// A listing stays within its limit and its chain, whatever the names are.
func FuzzListing(f *testing.F) {
	f.Add(byte(3), 300, "a\x00b:c")
	f.Fuzz(func(t *testing.T, class byte, max int, joined string) {
		l, err := NewListing(FileClass(class), []byte("123"), max)
		if err != nil {
			return
		}
		for _, name := range strings.Split(joined, "\x00") {
			l.Add(&Entry{Name: name})
		}
		b := l.Bytes()[3:]
		if len(b) > max {
			t.Fatal(len(b), max)
		}
		for i := 0; i < l.Len(); i++ {
			next := le.Uint32(b)
			if (next == 0) != (i == l.Len()-1) {
				t.Fatal(i, next)
			}
			b = b[next:]
		}
	})
}
