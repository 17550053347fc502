package check

import (
	"bytes"
	"encoding/binary"
)

// Records of getdents64: inode number, position, length of the record, type, and the name with zeroes behind it.
const (
	direntLength = 16
	direntName   = 19
)

func eachEntry(buf []byte, visit func(inode uint64, name string)) {
	for len(buf) > direntName {
		length := int(binary.NativeEndian.Uint16(buf[direntLength:]))
		name, _, _ := bytes.Cut(buf[direntName:length], []byte{0})
		visit(binary.NativeEndian.Uint64(buf), string(name))
		buf = buf[length:]
	}
}

func rawNames(buf []byte) (names []string) {
	eachEntry(buf, func(_ uint64, name string) { names = append(names, name) })
	return names
}

func rawEntries(buf []byte) map[string]uint64 {
	inodes := make(map[string]uint64)
	eachEntry(buf, func(inode uint64, name string) { inodes[name] = inode })
	return inodes
}
