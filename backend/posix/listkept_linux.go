package posix

import (
	"context"
	"math"
	"unsafe"

	"causeway"
)

// listKept is List from a listing that was true when it was called, from an entry of a page on.
func (s *Store) listKept(ctx context.Context, dir *node, l *listing, page, from int, attrs bool, emit func(*causeway.DirEntry) bool) (eof bool, err error) {
	m := s.memory
	entry, _ := m.lists.spare.Get().(*causeway.DirEntry)
	if entry == nil {
		entry = new(causeway.DirEntry)
	}
	defer m.lists.spare.Put(entry)
	*entry = causeway.DirEntry{}
	for _, p := range l.pages[page:] {
		if ctx.Err() != nil {
			return false, causeway.ErrDelay
		}
		if attrs {
			m.describe(l, p)
		}
		for i := from; i < len(p.entries); i++ {
			e := &p.entries[i]
			entry.Name, entry.FileID, entry.Cookie, entry.Type = e.name, e.ino, e.cookie, e.typ
			if attrs {
				if r := e.record.Load(); r != nil && m.version(e.ino).Load() == r.version {
					entry.Object, entry.Attr = r.id, r.attr
				} else {
					s.describeKept(dir, l, e, entry)
				}
			}
			if !emit(entry) {
				return false, nil
			}
		}
		from = 0
	}
	return true, nil
}

// describeKept fills in object and attributes of an entry whose record is not true any more, or was never made. Who finds them
// by the inode number looks afterwards whether the listing is true still.
func (s *Store) describeKept(dir *node, l *listing, e *listingEntry, entry *causeway.DirEntry) {
	if r := s.memory.renew(l, e); r != nil {
		entry.Object, entry.Attr = r.id, r.attr
		return
	}
	entry.Object, entry.Attr = causeway.ObjectID{}, causeway.Attr{}
	if !e.plain {
		s.describeNamed(dir, unsafe.StringData(e.name), entry)
		return
	}
	if n := s.cache.getIno(e.ino, math.MaxUint64); n != nil {
		found := s.attrs(n, &entry.Attr) == nil && s.memory.current(l)
		entry.Object = n.id
		n.unpin()
		if found {
			s.memory.renew(l, e)
			return
		}
		entry.Object, entry.Attr = causeway.ObjectID{}, causeway.Attr{}
	}
	s.describeNamed(dir, unsafe.StringData(e.name), entry)
	s.memory.renew(l, e)
}
