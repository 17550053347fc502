// Package wire holds the messages of SMB 2 and 3 ([MS-SMB2] 2.2) as they stand on the wire: headers, requests, replies, negotiate
// contexts, and as much of SMB1 as leads a client from there to here. Decoders check every offset and length against the message
// and borrow its bytes; encoders append to a reply buffer. What the messages mean is the server's affair (gateway/smb), what
// stands in information buffers that of gateway/smb/fscc and its neighbours.
package wire

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"
)

// ErrMalformed is what every decoder returns for a message that breaks its own structure.
var ErrMalformed = errors.New("smb: malformed message")

var le = binary.LittleEndian

// body returns the fixed part of a request, of size bytes behind the header, after checking its StructureSize.
func body(m []byte, structure uint16, size int) ([]byte, error) {
	if len(m) < HeaderSize+size || size < 2 || le.Uint16(m[HeaderSize:]) != structure {
		return nil, ErrMalformed
	}
	return m[HeaderSize : HeaderSize+size], nil
}

// part returns the n bytes at off of a message whose fixed part ends at least; nil where n is zero.
func part(m []byte, least int, off, n uint32) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if uint64(off) < uint64(least) || uint64(off)+uint64(n) > uint64(len(m)) {
		return nil, ErrMalformed
	}
	return m[off : uint64(off)+uint64(n) : uint64(off)+uint64(n)], nil
}

// UTF16 decodes a string of UTF-16LE. An odd length or a surrogate without its partner is ErrMalformed.
func UTF16(b []byte) (string, error) {
	if len(b)%2 != 0 {
		return "", ErrMalformed
	}
	ascii := true
	for i := 0; i < len(b); i += 2 {
		if b[i+1] != 0 || b[i] >= 0x80 {
			ascii = false
			break
		}
	}
	out := make([]byte, 0, len(b)/2)
	if ascii {
		for i := 0; i < len(b); i += 2 {
			out = append(out, b[i])
		}
		return string(out), nil
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = le.Uint16(b[2*i:])
	}
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			if i+1 == len(units) {
				return "", ErrMalformed
			}
			if r = utf16.DecodeRune(r, rune(units[i+1])); r == 0xfffd {
				return "", ErrMalformed
			}
			i++
		}
		out = append(out, string(r)...)
	}
	return string(out), nil
}

// AppendUTF16 appends s as UTF-16LE without a terminator.
func AppendUTF16(b []byte, s string) []byte {
	for _, r := range s {
		if r < 0x10000 {
			b = le.AppendUint16(b, uint16(r))
			continue
		}
		hi, lo := utf16.EncodeRune(r)
		b = le.AppendUint16(le.AppendUint16(b, uint16(hi)), uint16(lo))
	}
	return b
}

// zeros is what fixed parts and padding are appended from.
var zeros [128]byte

// grow appends n zero bytes (at most 128) and returns the whole and the new part.
func grow(b []byte, n int) (whole, added []byte) {
	whole = append(b, zeros[:n]...)
	return whole, whole[len(b):]
}

// Align appends zeros until the bytes behind start are a multiple of 8.
func Align(b []byte, start int) []byte {
	return append(b, zeros[:-(len(b)-start)&7]...)
}
