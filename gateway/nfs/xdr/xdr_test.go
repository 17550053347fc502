package xdr

import (
	"bytes"
	"math"
	"testing"

	peer "github.com/buildbarn/go-xdr/pkg/runtime"
)

// item is one value of a record, by kind.
type item struct {
	kind byte
	n    uint64
	b    []byte
}

func (i item) encode(e *Encoder) {
	switch i.kind {
	case 0:
		e.Uint32(uint32(i.n))
	case 1:
		e.Uint64(i.n)
	case 2:
		e.Bool(i.n&1 == 1)
	case 3:
		e.Opaque(i.b)
	case 4:
		e.String(string(i.b))
	case 5:
		e.Fixed(i.b)
	case 6:
		e.Int32(int32(i.n))
	}
}

// encodePeer writes the item with another implementation.
func (i item) encodePeer(w *bytes.Buffer) {
	switch i.kind {
	case 0:
		peer.WriteUnsignedInt(w, uint32(i.n))
	case 1:
		peer.WriteUnsignedHyper(w, i.n)
	case 2:
		peer.WriteBool(w, i.n&1 == 1)
	case 3:
		peer.WriteVariableLengthOpaque(w, math.MaxUint32, i.b)
	case 4:
		peer.WriteUTF8String(w, math.MaxUint32, string(i.b))
	case 5:
		peer.WriteFixedLengthOpaque(w, i.b)
	case 6:
		peer.WriteInt(w, int32(i.n))
	}
}

// decode reads the item back and reports whether it is the same.
func (i item) decode(d *Decoder) bool {
	switch i.kind {
	case 0:
		return d.Uint32() == uint32(i.n)
	case 1:
		return d.Uint64() == i.n
	case 2:
		return d.Bool() == (i.n&1 == 1)
	case 3:
		return bytes.Equal(d.Opaque(len(i.b)), i.b)
	case 4:
		return d.String(len(i.b)) == string(i.b)
	case 5:
		return bytes.Equal(d.Fixed(len(i.b)), i.b)
	}
	return d.Int32() == int32(i.n)
}

// items makes values from random bytes.
func items(seed []byte) (list []item) {
	for len(seed) >= 10 {
		i := item{kind: seed[0] % 7}
		for _, b := range seed[1:9] {
			i.n = i.n<<8 | uint64(b)
		}
		n := min(int(seed[9]), len(seed)-10)
		i.b, seed = bytes.ToValidUTF8(seed[10:10+n], []byte("?")), seed[10+n:]
		list = append(list, i)
	}
	return list
}

// FuzzRoundTrip: what is written reads back, and another implementation writes the same bytes.
func FuzzRoundTrip(f *testing.F) {
	for kind := range byte(7) {
		f.Add(append([]byte{kind, 0xff, 0xfe, 0, 0, 0x80, 1, 2, 3, 5}, "hello, world"...))
	}
	f.Fuzz(func(t *testing.T, seed []byte) {
		list := items(seed)
		e, w := Encoder{}, bytes.Buffer{}
		for _, i := range list {
			i.encode(&e)
			i.encodePeer(&w)
		}
		if !bytes.Equal(e.Bytes(), w.Bytes()) {
			t.Fatalf("%x, another writes %x", e.Bytes(), w.Bytes())
		}
		d := NewDecoder(e.Bytes())
		for _, i := range list {
			if !i.decode(&d) {
				t.Fatalf("%+v reads differently", i)
			}
		}
		if !d.Done() {
			t.Fatal("a rest")
		}
		for cut := range e.Bytes() { // a shorter record is never complete
			d := NewDecoder(e.Bytes()[:cut])
			for _, i := range list {
				i.decode(&d)
			}
			if d.OK() && len(list) > 0 {
				t.Fatalf("cut at %d of %d", cut, e.Len())
			}
		}
	})
}

// FuzzDecoder reads random bytes as random items: lengths are honoured, nothing panics, and the error sticks.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{3, 4, 5, 0, 1, 2, 6}, []byte{0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, kinds, record []byte) {
		d := NewDecoder(record)
		for _, kind := range kinds {
			limit := int(kind) / 7 * 8
			failed := !d.OK()
			var got []byte
			switch kind % 7 {
			case 0:
				d.Uint32()
			case 1:
				d.Uint64()
			case 2:
				d.Bool()
			case 3:
				got = d.Opaque(limit)
			case 4:
				got = []byte(d.String(limit))
			case 5:
				got = d.Fixed(limit)
			case 6:
				d.Int32()
			}
			if len(got) > limit || failed && (d.OK() || len(got) > 0 || d.Uint32() != 0) {
				t.Fatal("beyond its limit, or a failed record gave something")
			}
		}
	})
}

func TestDecoderBounds(t *testing.T) {
	long := []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}
	for name, read := range map[string]func(d *Decoder){
		"opaque":         func(d *Decoder) { d.Opaque(math.MaxInt32) },
		"opaque, no end": func(d *Decoder) { d.Opaque(math.MaxInt) },
		"over its limit": func(d *Decoder) { d.Opaque(3) },
		"string":         func(d *Decoder) { d.String(100) },
		"bool":           func(d *Decoder) { d.Bool() },
		"fixed":          func(d *Decoder) { d.Fixed(9) },
		"fixed, no end":  func(d *Decoder) { d.Fixed(math.MaxInt) },
		"fixed negative": func(d *Decoder) { d.Fixed(-1) },
		"too many":       func(d *Decoder) { d.Uint64(); d.Uint32() },
		"fail":           func(d *Decoder) { d.Fail() },
	} {
		d := NewDecoder(long)
		read(&d)
		if d.OK() || d.Done() || d.Uint32() != 0 || d.Uint64() != 0 || d.Opaque(9) != nil || len(d.Rest()) != 0 {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestEncoderTakesBackAndGrows(t *testing.T) {
	var asked []int
	e := NewGrowingEncoder(make([]byte, 0, 16), func(b []byte, n int) []byte {
		asked = append(asked, n)
		return append(make([]byte, 0, len(b)+n), b...)
	})
	e.Uint32(1)
	at := e.Len()
	e.String("abcde")
	e.Truncate(at)
	e.Uint32(7)
	e.PatchUint32(0, 2)
	copy(e.Reserve(4), "wxyz")
	copy(e.Reserve(100), bytes.Repeat([]byte("r"), 100))
	want := append([]byte{0, 0, 0, 2, 0, 0, 0, 7, 'w', 'x', 'y', 'z'}, bytes.Repeat([]byte("r"), 100)...)
	if !bytes.Equal(e.Bytes(), want) || len(asked) != 1 || asked[0] != 100 {
		t.Errorf("%q, asked for %v", e.Bytes(), asked)
	}
	plain := Encoder{}
	copy(plain.Reserve(3), "abc")
	plain.Fixed([]byte("d"))
	if string(plain.Bytes()) != "abcd\x00\x00\x00" {
		t.Errorf("%q", plain.Bytes())
	}
}
