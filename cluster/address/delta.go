package address

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Delta is what changed in a Table between two states of it.
type Delta struct {
	Base, Seq      uint64 // before and after; Base 0: Added is the whole table
	Removed, Added []Conn // in order, each once, and no connection in both
}

// Empty reports whether nothing changed.
func (d Delta) Empty() bool { return len(d.Removed)+len(d.Added) == 0 }

// deltaFormat is the first byte of an encoded delta. It is followed by Base and Seq as uvarints, then the removed and the added
// connections: the number of service addresses, and for each its family (4 or 6), address, port, the number of clients, and
// their addresses and ports. Addresses are 4 or 16 bytes, ports 2, big-endian; numbers are uvarints. All is in ascending order,
// so that a delta has one encoding.
const deltaFormat = 1

// Append appends the encoding of d to dst: 6 bytes per connection for IPv4, 18 for IPv6, and some.
func (d Delta) Append(dst []byte) []byte {
	dst = append(dst, deltaFormat)
	dst = binary.AppendUvarint(dst, d.Base)
	dst = binary.AppendUvarint(dst, d.Seq)
	return appendConns(appendConns(dst, d.Removed), d.Added)
}

func appendConns(dst []byte, conns []Conn) []byte {
	groups := 0
	for i := range conns {
		if i == 0 || conns[i].Local != conns[i-1].Local {
			groups++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(groups))
	for len(conns) > 0 {
		n := 1
		for n < len(conns) && conns[n].Local == conns[0].Local {
			n++
		}
		family := byte(4)
		if conns[0].Local.Addr().Is6() {
			family = 6
		}
		dst = appendEnd(append(dst, family), conns[0].Local)
		dst = binary.AppendUvarint(dst, uint64(n))
		for _, c := range conns[:n] {
			dst = appendEnd(dst, c.Client)
		}
		conns = conns[n:]
	}
	return dst
}

func appendEnd(dst []byte, end netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(append(dst, end.Addr().AsSlice()...), end.Port())
}

// ErrDelta means that bytes are no encoding of a Delta.
var ErrDelta = errors.New("not a delta of a connection table")

// ParseDelta reads what Append wrote, and nothing else. It fails with ErrDelta, and allocates no more than a few times the
// size of data.
func ParseDelta(data []byte) (Delta, error) {
	r := deltaReader{rest: data}
	if format := r.bytes(1); !r.failed && format[0] != deltaFormat {
		return Delta{}, fmt.Errorf("%w: format %d", ErrDelta, format[0])
	}
	d := Delta{Base: r.number(), Seq: r.number()}
	d.Removed = r.conns()
	d.Added = r.conns()
	if r.failed || len(r.rest) > 0 || disordered(d) {
		return Delta{}, ErrDelta
	}
	return d, nil
}

// disordered reports whether d could not have been made by a Table. Connections are compared in one pass through both lists.
func disordered(d Delta) bool {
	if d.Base == 0 && len(d.Removed) > 0 || d.Base > d.Seq || d.Base == d.Seq && !d.Empty() {
		return true
	}
	for i, j := 0, 0; i < len(d.Removed) && j < len(d.Added); {
		switch order := d.Removed[i].compare(d.Added[j]); {
		case order == 0:
			return true
		case order < 0:
			i++
		default:
			j++
		}
	}
	return false
}

// deltaReader reads from the front; after a failure all it reads is zero.
type deltaReader struct {
	rest   []byte
	failed bool
}

func (r *deltaReader) bytes(n int) []byte {
	if r.failed || n > len(r.rest) {
		r.failed = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *deltaReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.failed || n <= 0 || n > 1 && r.rest[n-1] == 0 { // not the shortest form
		r.failed = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *deltaReader) end(size int) netip.AddrPort {
	b := r.bytes(size + 2)
	if r.failed {
		return netip.AddrPort{}
	}
	addr, _ := netip.AddrFromSlice(b[:size])
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[size:]))
}

func (r *deltaReader) conns() []Conn {
	var conns []Conn
	for range r.count(1) {
		size := 4
		if family := r.bytes(1); r.failed || family[0] != 4 && family[0] != 6 {
			r.failed = true
			return nil
		} else if family[0] == 6 {
			size = 16
		}
		local := r.end(size)
		n := r.count(size + 2)
		if r.failed || n == 0 || len(conns)+n > MaxConns {
			r.failed = true
			return nil
		}
		for range n {
			c := Conn{Local: local, Client: r.end(size)}
			if !c.valid() || len(conns) > 0 && conns[len(conns)-1].compare(c) >= 0 {
				r.failed = true
				return nil
			}
			conns = append(conns, c)
		}
	}
	return conns
}

// count reads the number of elements that follow, of size bytes or more each.
func (r *deltaReader) count(size int) int {
	n := r.number()
	if n > uint64(len(r.rest)/size) {
		r.failed = true
		return 0
	}
	return int(n)
}
