package names

import (
	"slices"
	"strings"

	"causeway/gateway/smb/ntstatus"
)

// MaxPathBytes is the longest path in a request: the length field of a name has 16 bits.
const MaxPathBytes = 1<<16 - 2

// MaxDepth is the largest number of components of a path that is taken.
const MaxDepth = 512

// Split returns the stored names of the components of a path relative to the share ([MS-SMB2] 2.2.13, [MS-FSCC] 2.1.5); none for
// the share's root. One "\" at the end is taken. The default stream of a file may be spelt out ("a::$DATA") in the last component.
//
// InvalidParameter: odd length, or a "\" at the start. ObjectPathSyntaxBad: "..", an empty component, or more than MaxDepth of them.
// ObjectNameInvalid: ".", another stream, and what [Stored] refuses.
func Split(wire []byte) ([]string, error) {
	units, err := Parse(wire, MaxPathBytes)
	if err != nil {
		return nil, err
	}
	return SplitUnits(units)
}

// SplitUnits is Split of a path that was parsed.
func SplitUnits(units []uint16) ([]string, error) {
	if len(units) == 0 {
		return nil, nil
	}
	if units[0] == '\\' {
		return nil, ntstatus.InvalidParameter
	}
	if units[len(units)-1] == '\\' {
		units = units[:len(units)-1]
	}
	var parts []string
	for {
		part, rest := units, []uint16(nil)
		end := slices.Index(units, '\\')
		if end >= 0 {
			part, rest = units[:end], units[end+1:]
		}
		name, err := component(part, end < 0)
		if err != nil {
			return nil, err
		}
		if parts = append(parts, name); len(parts) > MaxDepth {
			return nil, ntstatus.ObjectPathSyntaxBad
		}
		if end < 0 {
			return parts, nil
		}
		units = rest
	}
}

func component(part []uint16, last bool) (string, error) {
	if len(part) == 0 {
		return "", ntstatus.ObjectPathSyntaxBad
	}
	if colon := slices.Index(part, ':'); colon >= 0 {
		if !last || !strings.EqualFold(String(part[colon:]), "::$DATA") {
			return "", ntstatus.ObjectNameInvalid
		}
		part = part[:colon]
	}
	name, err := Stored(part)
	switch {
	case err != nil:
		return "", err
	case name == "..":
		return "", ntstatus.ObjectPathSyntaxBad
	case name == ".":
		return "", ntstatus.ObjectNameInvalid
	}
	return name, nil
}

// TrimDFS takes server and share off a path that was sent with SMB2_FLAGS_DFS_OPERATIONS ("server\share\rest", [MS-SMB2]
// 3.3.5.9) and returns the rest. A path with fewer components has an empty rest.
func TrimDFS(units []uint16) []uint16 {
	for len(units) > 0 && units[0] == '\\' {
		units = units[1:]
	}
	for range 2 {
		end := slices.Index(units, '\\')
		if end < 0 {
			return nil
		}
		units = units[end+1:]
	}
	return units
}

// AppendPath appends the wire form of a path of stored names: "\a\b", "\" for the root. It is the inverse of Split but for the
// first "\".
func AppendPath(dst []byte, parts []string) []byte {
	if len(parts) == 0 {
		return append(dst, '\\', 0)
	}
	for _, p := range parts {
		dst = AppendWire(append(dst, '\\', 0), p)
	}
	return dst
}
