package posix

import (
	"bytes"
	"context"
	"encoding/binary"
	"unsafe"

	"causeway"
)

// List implements backend.Tree. Cookies are the file system's own directory positions (d_off). Who walks a directory finds
// the descriptor where he left it, so that a walk is linear also where seeking is not cheap. On an exclusive volume a
// directory that was walked once is listed from memory until it changes.
func (s *Store) List(ctx context.Context, id causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (eof bool, err error) {
	dir, err := s.get(ctx, &id)
	if err != nil {
		return false, err
	}
	defer dir.unpin()
	if dir.typ != causeway.TypeDirectory {
		return false, causeway.ErrNotDir
	}
	if l := s.memory.listing(dir); l != nil {
		if page, entry, ok := l.after(cookie); ok {
			return s.listKept(ctx, dir, l, page, entry, attrs, emit)
		}
	}
	at, err := s.openStream(dir, cookie)
	if err != nil {
		return false, err
	}
	for {
		if err := ctx.Err(); err != nil {
			s.streams.give(at)
			return false, causeway.ErrDelay
		}
		if at.rest == 0 {
			if e := at.fill(s, dir); e != 0 {
				at.close()
				return false, s.failIn(dir, "list", e)
			}
			if at.rest == 0 {
				at.close()
				return true, nil
			}
		}
		if !s.emitBuffered(dir, at, attrs, emit) {
			s.streams.give(at)
			return false, nil
		}
	}
}

// The layout of struct linux_dirent64: d_ino (8), d_off (8), d_reclen (2), d_type (1), d_name.
const (
	direntReclen = 16
	direntType8  = 18
	direntName   = 19
)

// direntNameOf returns the name in the first record of some.
func direntNameOf(record []byte) []byte {
	raw := record[direntName:binary.NativeEndian.Uint16(record[direntReclen:])]
	return raw[:max(0, bytes.IndexByte(raw, 0))]
}

// emitBuffered emits what the stream has read, and stops where emit does.
func (s *Store) emitBuffered(dir *node, at *stream, attrs bool, emit func(*causeway.DirEntry) bool) bool {
	for at.rest > 0 {
		record := at.buf[at.off:]
		size := int(binary.NativeEndian.Uint16(record[direntReclen:]))
		raw := direntNameOf(record)
		entry := &at.entry
		*entry = causeway.DirEntry{
			Name: unsafe.String(unsafe.SliceData(raw), len(raw)), FileID: binary.NativeEndian.Uint64(record),
			Cookie: binary.NativeEndian.Uint64(record[8:]), Type: direntType[record[direntType8]&15],
		}
		if !s.hides(dir, entry.Name) {
			if entry.Name == ".." && dir == s.root {
				entry.FileID = s.root.ino // not that of what lies above
			}
			if attrs {
				s.describeEntry(dir, at, &record[direntName], entry)
			}
			if !emit(entry) {
				return false
			}
		}
		at.cookie = entry.Cookie
		at.off += size
		at.rest -= size
	}
	return true
}

// describeEntry fills in object and attributes, if they can be found: by the inode number that came with the name where the
// file system's are to be trusted, else by the name, which raw holds with a NUL at its end.
func (s *Store) describeEntry(dir *node, at *stream, raw *byte, entry *causeway.DirEntry) {
	dots := entry.Name == "." || entry.Name == ".."
	if !dots && s.mount.trusts(entry.Type) {
		if s.memory.listed(entry.FileID, at.serial, &entry.Object, &entry.Attr) {
			return
		}
		if n := s.cache.getIno(entry.FileID, at.ticket); n != nil {
			if s.attrs(n, &entry.Attr) == nil {
				entry.Object = n.id
			} else {
				entry.Attr = causeway.Attr{}
			}
			n.unpin()
			return
		}
	}
	s.describeNamed(dir, raw, entry)
}

// describeNamed is describeEntry by the name alone.
func (s *Store) describeNamed(dir *node, raw *byte, entry *causeway.DirEntry) {
	var err error
	if entry.Name == "." || entry.Name == ".." {
		err = s.identifyDots(dir, entry.Name, &entry.Object, &entry.Attr)
	} else {
		err = s.identifyEntry(dir, raw, entry.Name, &entry.Object, &entry.Attr)
	}
	if err != nil {
		entry.Object, entry.Attr = causeway.ObjectID{}, causeway.Attr{}
		return
	}
	entry.FileID = entry.Attr.FileID
}
