package rpcpipe

import "unicode/utf16"

// reader takes arguments from a stub in NDR ([C706] chapter 14). After a failure bad is set and all values are zero.
type reader struct {
	b   []byte
	off int
	bad bool
}

func (r *reader) align(n int) { r.off = (r.off + n - 1) / n * n }

func (r *reader) u32() uint32 {
	r.align(4)
	if r.bad || r.off+4 > len(r.b) {
		r.bad = true
		return 0
	}
	v := le.Uint32(r.b[r.off:])
	r.off += 4
	return v
}

// bytes takes n bytes as they stand, nil if there are fewer.
func (r *reader) bytes(n int) []byte {
	if r.bad || r.off+n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[r.off : r.off+n]
	r.off += n
	return b
}

// maxText is the longest string argument in UTF-16 units.
const maxText = 1024

// text reads a conformant varying string of UTF-16 units that ends in a zero.
func (r *reader) text() string {
	size, offset, actual := r.u32(), r.u32(), r.u32()
	if r.bad || offset != 0 || actual > size || actual > maxText || r.off+2*int(actual) > len(r.b) {
		r.bad = true
		return ""
	}
	units := make([]uint16, actual)
	for i := range units {
		units[i] = le.Uint16(r.b[r.off+2*i:])
	}
	r.off += 2 * int(actual)
	if n := len(units); n > 0 && units[n-1] == 0 {
		units = units[:n-1]
	}
	return string(utf16.Decode(units))
}

// skipText reads over a pointer to a string, which may be null.
func (r *reader) skipText() {
	if r.u32() != 0 {
		r.text()
	}
}

// writer makes results in NDR. What a pointer points to is written when the structure that holds the pointer is complete: structures
// put it off, flush writes it.
type writer struct {
	b        []byte
	referent uint32
	deferred []func()
}

func (w *writer) u32(vs ...uint32) {
	for len(w.b)%4 != 0 {
		w.b = append(w.b, 0)
	}
	for _, v := range vs {
		w.b = le.AppendUint32(w.b, v)
	}
}

// pointer writes a pointer that is not null, and puts off what it points to.
func (w *writer) pointer(to func()) {
	w.u32(0x00020000 + 4*w.referent)
	w.referent++
	w.deferred = append(w.deferred, to)
}

func (w *writer) text(s string) { w.pointer(func() { w.string(s) }) }

// flush writes what was put off, in order; what that puts off in turn comes right behind it.
func (w *writer) flush() {
	todo := w.deferred
	w.deferred = nil
	for _, to := range todo {
		to()
		w.flush()
	}
}

// string writes a conformant varying string with its zero.
func (w *writer) string(s string) {
	units := append(utf16.Encode([]rune(s)), 0)
	w.u32(uint32(len(units)), 0, uint32(len(units)))
	for _, u := range units {
		w.b = le.AppendUint16(w.b, u)
	}
}
