package mirror

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// A frame is its length in 4 bytes, big-endian, and a body: the kind, and what the kind says.
const (
	kindDelta = 1 // of the connections, as address.Delta encodes it; the first of a connection is the whole
	kindHeld  = 2 // the service addresses, in order: 4 or 6, and the address
	headSize  = 4
	maxFrame  = 2 << 20 // more than MaxConns of IPv6 take
	maxHeld   = 4096
)

var errFrame = errors.New("not a message of a peer")

func appendFrame(dst []byte, kind byte, body func([]byte) []byte) []byte {
	at := len(dst)
	dst = body(append(dst, 0, 0, 0, 0, kind))
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-headSize))
	return dst
}

// readFrame reads a frame into buf, which it returns, grown if needed.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return buf, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return buf, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	if int(n) > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(r, buf)
	return buf, err
}

func appendHeld(dst []byte, held []netip.Addr) []byte {
	for _, a := range held[:min(len(held), maxHeld)] {
		family := byte(4)
		if a.Is6() {
			family = 6
		}
		dst = append(append(dst, family), a.AsSlice()...)
	}
	return dst
}

// parseHeld reads what appendHeld wrote, and nothing else.
func parseHeld(data []byte) ([]netip.Addr, error) {
	var held []netip.Addr
	for len(data) > 0 {
		size := 4
		if data[0] == 6 {
			size = 16
		} else if data[0] != 4 {
			return nil, errFrame
		}
		if len(data) <= size || len(held) == maxHeld {
			return nil, errFrame
		}
		a, _ := netip.AddrFromSlice(data[1 : 1+size])
		if a.Is4In6() || len(held) > 0 && held[len(held)-1].Compare(a) >= 0 {
			return nil, errFrame
		}
		held, data = append(held, a), data[1+size:]
	}
	return held, nil
}
