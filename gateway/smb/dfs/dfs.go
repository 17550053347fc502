// Package dfs reads DFS referral requests and builds their answers ([MS-DFSC]): the means by which a client learns at which gateways
// a volume is served, in the order in which it shall try them.
//
// It is pure. Which gateways there are, and in which order, is redirect's business; which paths name a root or a link is the front's.
package dfs

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"causeway/gateway/smb/ntstatus"
)

var le = binary.LittleEndian

// MaxPath is the longest path of a request in bytes, its end not counted.
const MaxPath = 4096

// Request is a REQ_GET_DFS_REFERRAL or its extended form ([MS-DFSC] 2.2.2, 2.2.3).
type Request struct {
	MaxLevel int    // the highest version of referral that the client understands
	Path     string // as sent: "\server\share\rest", empty where a client asks for domains
	Site     string // extended form only
}

// Parse reads the request of FSCTL_DFS_GET_REFERRALS: InvalidParameter for a path that does not end, or is too long.
func Parse(b []byte) (Request, error) {
	if len(b) < 4 {
		return Request{}, ntstatus.InvalidParameter
	}
	path, rest, ok := text(b[2:])
	if !ok || len(rest) > 64 { // some clients pad
		return Request{}, ntstatus.InvalidParameter
	}
	return Request{MaxLevel: int(le.Uint16(b)), Path: path}, nil
}

// ParseEx reads the request of FSCTL_DFS_GET_REFERRALS_EX.
func ParseEx(b []byte) (Request, error) {
	const hasSite = 1
	if len(b) < 8 {
		return Request{}, ntstatus.InvalidParameter
	}
	r, flags, length := Request{MaxLevel: int(le.Uint16(b))}, le.Uint16(b[2:]), le.Uint32(b[4:])
	if b = b[8:]; uint64(length) > uint64(len(b)) {
		return Request{}, ntstatus.InvalidParameter
	}
	var ok bool
	if b, r.Path, ok = counted(b[:length]); !ok {
		return Request{}, ntstatus.InvalidParameter
	}
	if flags&hasSite != 0 {
		if _, r.Site, ok = counted(b); !ok {
			return Request{}, ntstatus.InvalidParameter
		}
	}
	return r, nil
}

// counted reads a string behind its length in bytes.
func counted(b []byte) (rest []byte, s string, ok bool) {
	if len(b) < 2 {
		return nil, "", false
	}
	n := int(le.Uint16(b))
	if b = b[2:]; n > len(b) || n > MaxPath+2 || n%2 != 0 {
		return nil, "", false
	}
	return b[n:], strings.TrimSuffix(decode(b[:n]), "\x00"), true
}

// text reads a string up to its zero.
func text(b []byte) (s string, rest []byte, ok bool) {
	for i := 0; i+1 < len(b) && i <= MaxPath; i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return decode(b[:i]), b[i+2:], true
		}
	}
	return "", nil, false
}

func decode(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = le.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// Split returns server, share and the rest of a path of a request; parts that it does not have are empty.
func Split(path string) (server, share, rest string) {
	parts := strings.SplitN(strings.Trim(path, `\`), `\`, 3)
	parts = append(parts, "", "")
	if len(parts) > 4 {
		rest = parts[2]
	}
	return parts[0], parts[1], rest
}
