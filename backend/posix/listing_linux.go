package posix

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"causeway"
)

// Listings of directories that an exclusive volume remembers, so that a walk asks neither the kernel nor a map for an entry.
//
// Every change of an object moves its version on when it begins, see memory. A listing holds the version of its directory from
// before its first entry was read, while no change of the directory ran. While the directory has that version the names are
// what the kernel would tell, and each inode number is that of the object with the name all the while. A record holds the
// attributes of an entry's object and the object's version from when they were true: with that version they are.
//
// Versions are shared by inode numbers that are equal modulo their count. What is lost by that is only speed.
//
// Pages and entries never change, but for the pointers to records, which are exchanged whole: who reads holds no lock.
type listing struct {
	id      causeway.ObjectID
	ino     uint64
	version uint64 // of the directory
	pages   []*listingPage
	index   []listingIndex // by cookie, strictly rising
	used    atomic.Bool    // since the hand came by

	bytes int // guarded by listings
	slot  int // in the ring, -1: not there; guarded by listings
}

// listingPage is what one getdents told, without the store's own names.
type listingPage struct {
	entries   []listingEntry
	described atomic.Bool // records were looked for
}

type listingEntry struct {
	name   string // a NUL stands behind it
	ino    uint64
	cookie uint64
	record atomic.Pointer[listingRecord]
	typ    causeway.FileType
	plain  bool // ino is the object's: no dots, no mount
}

type listingRecord struct {
	id      causeway.ObjectID
	attr    causeway.Attr
	version uint64
	single  bool // was made alone, not with its page
}

// listingIndex says where the entry behind a cookie is.
type listingIndex struct {
	cookie      uint64
	page, entry int32
}

// listingMax bounds what listings hold, in bytes: a quarter of it is for those that are being read.
const listingMax = 32 << 20

const (
	entryBytes  = int(unsafe.Sizeof(listingEntry{}) + unsafe.Sizeof(listingIndex{}))
	recordBytes = int(unsafe.Sizeof(listingRecord{}))
)

// listings holds those that were read to the end, each in the ring over which hand sweeps.
type listings struct {
	mu     sync.RWMutex
	max    int // bytes
	byIno  map[uint64]*listing
	ring   []*listing
	hand   int
	kept   int // bytes of those in the ring
	drafts int // bytes of those that are being read
	spare  sync.Pool
}

// listing returns that of a directory if it is true now, else nil.
func (m *memory) listing(dir *node) *listing {
	if m == nil {
		return nil
	}
	ls := &m.lists
	ls.mu.RLock()
	l := ls.byIno[dir.ino]
	ls.mu.RUnlock()
	if l == nil {
		return nil
	}
	if l.id != dir.id || !m.current(l) {
		ls.mu.Lock()
		ls.remove(l)
		ls.mu.Unlock()
		return nil
	}
	if !l.used.Load() {
		l.used.Store(true)
	}
	return l
}

// current reports whether a listing's names are true now.
func (m *memory) current(l *listing) bool { return m.version(l.ino).Load() == l.version }

// draft begins a listing, before the first entry of the directory is read; nil if the directory changes just now.
func (m *memory) draft(dir *node) *listing {
	if m == nil {
		return nil
	}
	sh := m.shard(dir.ino)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if sh.changing[dir.ino] != 0 {
		return nil
	}
	return &listing{id: dir.id, ino: dir.ino, version: m.version(dir.ino).Load(), slot: -1}
}

// addPage adds what getdents told to a draft. It reports false when the draft is worth nothing, or too large, and is given up.
func (s *Store) addPage(l *listing, dir *node, raw []byte) bool {
	m := s.memory
	entries, names := 0, 0
	for rest := raw; len(rest) > 0; rest = rest[binary.NativeEndian.Uint16(rest[direntReclen:]):] {
		entries++
		names += len(direntNameOf(rest)) + 1
	}
	size := names + entries*entryBytes
	for !m.current(l) || !m.lists.reserve(l, size) {
		if !m.current(l) || l.bytes+size > m.lists.max/4 || !s.streams.dropDraft() {
			m.lists.giveUp(l)
			return false
		}
	}
	p := &listingPage{entries: make([]listingEntry, entries)}
	text, n := make([]byte, 0, names), 0
	for rest := raw; len(rest) > 0; rest = rest[binary.NativeEndian.Uint16(rest[direntReclen:]):] {
		name := direntNameOf(rest)
		from := len(text)
		text = append(append(text, name...), 0)
		e := &p.entries[n]
		e.name = unsafe.String(&text[from], len(name))
		e.ino, e.cookie = binary.NativeEndian.Uint64(rest), binary.NativeEndian.Uint64(rest[8:])
		e.typ = direntType[rest[direntType8]&15]
		if s.hides(dir, e.name) {
			continue
		}
		if e.name == ".." && dir == s.root {
			e.ino = s.root.ino
		}
		e.plain = e.name != "." && e.name != ".." && s.mount.trusts(e.typ)
		n++
	}
	p.entries = p.entries[:n]
	l.pages = append(l.pages, p)
	return true
}

// keep remembers a draft that was read to the end.
func (m *memory) keep(l *listing) {
	ls := &m.lists
	for i, p := range l.pages {
		for j := range p.entries {
			l.index = append(l.index, listingIndex{p.entries[j].cookie, int32(i), int32(j)})
		}
	}
	slices.SortFunc(l.index, func(a, b listingIndex) int { return cmp.Compare(a.cookie, b.cookie) })
	for i := range l.index {
		if i > 0 && l.index[i].cookie == l.index[i-1].cookie || l.index[i].cookie == 0 {
			ls.giveUp(l) // such a cookie does not tell where to go on
			return
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.drafts -= l.bytes
	if l.bytes+len(l.index)*recordBytes > ls.room() {
		return
	}
	if old := ls.byIno[l.ino]; old != nil {
		ls.remove(old)
	}
	ls.byIno[l.ino] = l
	l.slot = len(ls.ring)
	ls.ring = append(ls.ring, l)
	ls.kept += l.bytes
	l.used.Store(true)
	ls.shrink()
}

// after returns where the entry behind a cookie is. A cookie that no entry has, of one that is gone, is the kernel's matter.
func (l *listing) after(cookie uint64) (page, entry int, ok bool) {
	if cookie == 0 {
		return 0, 0, true
	}
	i, ok := slices.BinarySearchFunc(l.index, cookie, func(x listingIndex, c uint64) int { return cmp.Compare(x.cookie, c) })
	if !ok {
		return 0, 0, false
	}
	return int(l.index[i].page), int(l.index[i].entry) + 1, true
}

// describe makes the records of a page whose objects are remembered.
func (m *memory) describe(l *listing, p *listingPage) {
	if p.described.Load() || p.described.Swap(true) || !m.lists.charge(l, len(p.entries)*recordBytes) {
		return
	}
	records := make([]listingRecord, len(p.entries))
	for i := range p.entries {
		e := &p.entries[i]
		if e.plain && m.record(e.ino, &records[i]) && m.current(l) {
			e.record.CompareAndSwap(nil, &records[i])
		}
	}
}

// record fills in what is remembered of an object. The version is read while no change of the object can begin.
func (m *memory) record(ino uint64, r *listingRecord) bool {
	sh := m.shard(ino)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e := sh.find(ino)
	if e == nil || !e.valid {
		return false
	}
	r.id, r.attr, r.version = e.id, e.attr, m.version(ino).Load()
	return true
}

// renew replaces the record of one entry by what is remembered of its object now, and returns it; nil if nothing is, or the
// names are not true any more: then another object may have the number.
func (m *memory) renew(l *listing, e *listingEntry) *listingRecord {
	var now listingRecord
	if !e.plain || !m.record(e.ino, &now) || !m.current(l) {
		return nil
	}
	r := new(listingRecord)
	*r = now
	r.single = true
	old := e.record.Load()
	if (old == nil || !old.single) && !m.lists.charge(l, recordBytes) {
		return r
	}
	e.record.CompareAndSwap(old, r)
	return r
}
