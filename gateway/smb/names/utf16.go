package names

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"causeway"
	"causeway/gateway/smb/ntstatus"
)

// MaxUnits is the longest component in UTF-16 units ([MS-FSCC] 2.1.5).
const MaxUnits = 255

// The private-use range that stands for characters which Windows forbids, as the Services for Macintosh defined it: control
// characters at their own distance from privateFirst, the others in the order of privateChars.
const (
	privateFirst  = 0xF000
	privateQuote  = 0xF020
	privateChars  = `"*:<>?\|`
	privateSpace  = 0xF028 // at the end of a name
	privatePeriod = 0xF029 // at the end of a name
)

// escapeFirst is the lone low surrogate that stands for the byte 0x00; only 0x80 to 0xFF are used.
const escapeFirst = 0xDC00

// Units returns the UTF-16 units that clients see for a stored name. It is defined for every string and never maps two to the
// same units: a byte that is no UTF-8, and the bytes of a character of the private range that stands for another one, become
// lone low surrogates.
func Units(stored string) []uint16 { return AppendUnits(make([]uint16, 0, len(stored)), stored) }

// AppendUnits is Units into a buffer.
func AppendUnits(dst []uint16, stored string) []uint16 {
	for i := 0; i < len(stored); {
		r, n := utf8.DecodeRuneInString(stored[i:])
		last := i+n == len(stored)
		switch {
		case r == utf8.RuneError && n == 1, r > privateFirst && r <= privatePeriod:
			for _, c := range []byte(stored[i : i+n]) {
				dst = append(dst, escapeFirst+uint16(c))
			}
		case r < 0x20:
			dst = append(dst, privateFirst+uint16(r))
		case last && r == ' ':
			dst = append(dst, privateSpace)
		case last && r == '.' && stored != "." && stored != "..":
			dst = append(dst, privatePeriod)
		case r < utf8.RuneSelf && strings.IndexByte(privateChars, byte(r)) >= 0:
			dst = append(dst, privateQuote+uint16(strings.IndexByte(privateChars, byte(r))))
		default:
			dst = utf16.AppendRune(dst, r)
		}
		i += n
	}
	return dst
}

// AppendWire appends a stored name as clients see it, in UTF-16LE.
func AppendWire(dst []byte, stored string) []byte {
	var space [64]uint16
	return AppendUTF16(dst, AppendUnits(space[:0], stored))
}

// AppendUTF16 appends units little-endian.
func AppendUTF16(dst []byte, units []uint16) []byte {
	for _, u := range units {
		dst = binary.LittleEndian.AppendUint16(dst, u)
	}
	return dst
}

// AppendString appends text that is no file name (a share, a label) in UTF-16LE; what is no UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	for _, r := range s {
		if r < 0x10000 {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(r))
			continue
		}
		high, low := utf16.EncodeRune(r)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(high))
		dst = binary.LittleEndian.AppendUint16(dst, uint16(low))
	}
	return dst
}

// Parse returns the units of a UTF-16LE buffer: InvalidParameter if its length is odd or beyond max bytes.
func Parse(wire []byte, max int) ([]uint16, error) {
	if len(wire)%2 != 0 || len(wire) > max {
		return nil, ntstatus.InvalidParameter
	}
	units := make([]uint16, len(wire)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(wire[2*i:])
	}
	return units, nil
}

// String returns text that is no file name; lone surrogates become U+FFFD.
func String(units []uint16) string { return string(utf16.Decode(units)) }

// Stored returns the stored name of one component that a client sent. It is the inverse of [Units], and takes a last space or
// period as it stands too. ObjectNameInvalid: the component is empty, longer than MaxUnits or causeway.MaxName bytes, has a character
// that Windows forbids (wildcards among them), "/", or a surrogate without its other half that Units would not have made.
func Stored(units []uint16) (string, error) {
	if len(units) == 0 || len(units) > MaxUnits {
		return "", ntstatus.ObjectNameInvalid
	}
	name := make([]byte, 0, len(units)+8)
	escaped := false
	for i := 0; i < len(units); i++ {
		u := units[i]
		switch {
		case u < 0x20 || u == '/' || u < utf8.RuneSelf && strings.IndexByte(privateChars, byte(u)) >= 0:
			return "", ntstatus.ObjectNameInvalid
		case u > privateFirst && u <= privatePeriod:
			name = append(name, private(u))
		case u >= escapeFirst+0x80 && u <= escapeFirst+0xFF:
			name, escaped = append(name, byte(u-escapeFirst)), true
		case utf16.IsSurrogate(rune(u)):
			if i+1 == len(units) {
				return "", ntstatus.ObjectNameInvalid
			}
			r := utf16.DecodeRune(rune(u), rune(units[i+1]))
			if r == utf8.RuneError {
				return "", ntstatus.ObjectNameInvalid
			}
			name = utf8.AppendRune(name, r)
			i++
		default:
			name = utf8.AppendRune(name, rune(u))
		}
	}
	if len(name) > causeway.MaxName || escaped && !escapedRightly(string(name), units) {
		return "", ntstatus.ObjectNameInvalid
	}
	return string(name), nil
}

// private returns the character that u of the private range stands for.
func private(u uint16) byte {
	switch {
	case u < privateQuote:
		return byte(u - privateFirst)
	case u == privateSpace:
		return ' '
	case u == privatePeriod:
		return '.'
	}
	return privateChars[u-privateQuote]
}

// escapedRightly reports whether the escapes in units are those that Units makes: otherwise one name would have two spellings.
func escapedRightly(name string, units []uint16) bool {
	again := Units(name)
	if len(again) != len(units) {
		return false
	}
	for i, u := range again {
		if (u&^0xFF == escapeFirst) != (units[i]&^0xFF == escapeFirst) {
			return false
		}
	}
	return true
}
