// Package xdr reads and writes XDR (RFC 4506) over byte slices: a cursor, not a code generator. Nothing is allocated by
// reading; opaque data and strings are views of the record.
package xdr

import (
	"encoding/binary"
	"unsafe"
)

// Decoder is a cursor over one record. Its error is sticky: after the first short or bad item all further items read as zero,
// and Err tells. So a procedure decodes all of its arguments and asks once.
type Decoder struct {
	b   []byte
	bad bool
}

// NewDecoder returns a cursor at the start of b.
func NewDecoder(b []byte) Decoder { return Decoder{b: b} }

// OK reports whether everything read so far was there and well-formed.
func (d *Decoder) OK() bool { return !d.bad }

// Done reports whether everything was well-formed and nothing is left.
func (d *Decoder) Done() bool { return !d.bad && len(d.b) == 0 }

// Rest returns what was not read yet, as a view.
func (d *Decoder) Rest() []byte { return d.b }

// Fail marks the record as bad: for values that are well-formed XDR but out of a procedure's range.
func (d *Decoder) Fail() { d.bad, d.b = true, nil }

// Uint32 reads an unsigned integer (RFC 4506 §4.2).
func (d *Decoder) Uint32() uint32 {
	if len(d.b) < 4 {
		d.Fail()
		return 0
	}
	v := binary.BigEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

// Int32 reads an integer (§4.1).
func (d *Decoder) Int32() int32 { return int32(d.Uint32()) }

// Uint64 reads an unsigned hyper integer (§4.5).
func (d *Decoder) Uint64() uint64 {
	if len(d.b) < 8 {
		d.Fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

// Bool reads a boolean (§4.4); anything but 0 and 1 is bad.
func (d *Decoder) Bool() bool {
	v := d.Uint32()
	if v > 1 {
		d.Fail()
	}
	return v == 1
}

// Fixed reads n bytes of fixed-length opaque data and its padding (§4.9), as a view.
func (d *Decoder) Fixed(n int) []byte {
	padded := n + (4-n&3)&3
	if n < 0 || padded < n || len(d.b) < padded {
		d.Fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[padded:]
	return v
}

// Opaque reads variable-length opaque data of at most limit bytes (§4.10), as a view.
func (d *Decoder) Opaque(limit int) []byte {
	n := d.Uint32()
	if uint64(n) > uint64(limit) {
		d.Fail()
		return nil
	}
	return d.Fixed(int(n))
}

// String reads a string of at most limit bytes (§4.11), as a view: good as long as the record is.
func (d *Decoder) String(limit int) string {
	v := d.Opaque(limit)
	return unsafe.String(unsafe.SliceData(v), len(v))
}

// Encoder appends to a buffer. The zero Encoder starts with none.
type Encoder struct {
	b    []byte
	grow func(b []byte, n int) []byte
}

// NewEncoder returns an Encoder that appends to b.
func NewEncoder(b []byte) Encoder { return Encoder{b: b} }

// NewGrowingEncoder returns an Encoder that appends to b, and takes large room from grow: grow returns a buffer that starts with b
// and has capacity for at least n bytes more. b is not used any more then.
func NewGrowingEncoder(b []byte, grow func(b []byte, n int) []byte) Encoder {
	return Encoder{b: b, grow: grow}
}

// Bytes returns what was written, with what the buffer held before.
func (e *Encoder) Bytes() []byte { return e.b }

// Len returns the length of Bytes: a position for Truncate and PatchUint32.
func (e *Encoder) Len() int { return len(e.b) }

// Truncate takes back all that was written behind position n.
func (e *Encoder) Truncate(n int) { e.b = e.b[:n] }

// PatchUint32 overwrites the integer at position at.
func (e *Encoder) PatchUint32(at int, v uint32) { binary.BigEndian.PutUint32(e.b[at:], v) }

// Uint32 writes an unsigned integer.
func (e *Encoder) Uint32(v uint32) { e.b = binary.BigEndian.AppendUint32(e.b, v) }

// Int32 writes an integer.
func (e *Encoder) Int32(v int32) { e.Uint32(uint32(v)) }

// Uint64 writes an unsigned hyper integer.
func (e *Encoder) Uint64(v uint64) { e.b = binary.BigEndian.AppendUint64(e.b, v) }

// Bool writes a boolean.
func (e *Encoder) Bool(v bool) {
	n := uint32(0)
	if v {
		n = 1
	}
	e.Uint32(n)
}

var pad [4]byte

// Fixed writes fixed-length opaque data and its padding.
func (e *Encoder) Fixed(p []byte) {
	e.b = append(e.b, p...)
	e.b = append(e.b, pad[:(4-len(p)&3)&3]...)
}

// Opaque writes variable-length opaque data.
func (e *Encoder) Opaque(p []byte) {
	e.Uint32(uint32(len(p)))
	e.Fixed(p)
}

// String writes a string.
func (e *Encoder) String(s string) {
	e.Uint32(uint32(len(s)))
	e.b = append(e.b, s...)
	e.b = append(e.b, pad[:(4-len(s)&3)&3]...)
}

// Reserve extends the buffer by n bytes of unspecified content and returns them: to read a file straight into the reply.
// The view is good until the next write to the Encoder.
func (e *Encoder) Reserve(n int) []byte {
	at := len(e.b)
	if cap(e.b)-at < n {
		if e.grow != nil {
			e.b = e.grow(e.b, n)
		} else {
			grown := make([]byte, at, max(2*cap(e.b), at+n+64))
			copy(grown, e.b)
			e.b = grown
		}
	}
	e.b = e.b[:at+n]
	return e.b[at:]
}
