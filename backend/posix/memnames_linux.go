package posix

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"causeway"
)

// Names that an exclusive volume remembers: (directory, name) → object, or none.
//
// A name is a fact about the directory, so it is published as attributes are: if the directory does not change and has not
// changed since the name was looked up. Who changes a name calls begin for the directory first, then drop for the name, then
// the kernel; so nothing is published between drop and end.
//
// Directory and object stand in it by the serials of their entries in memory, which nothing else ever has: when one of them
// was forgotten, or its inode number went to another object, the name is worth nothing.
//
// lookup holds the name's shard while it reads the object's attributes: as long as the name is there its removal has not
// begun, so they are those of an object that has the name. Locks are taken in the order name's shard, object's shard.
type nameShard struct {
	mu      sync.RWMutex
	slots   map[nameKey]int32
	entries []nameEntry // in no order; hand sweeps over it
	hand    int
}

type nameKey struct {
	dir  uint64 // serial
	name string
}

type nameEntry struct {
	key    nameKey
	ino    uint64 // 0: there is no such name
	serial uint64
	used   uint32 // atomic: since the hand came by
}

func (m *memory) nameShard(key nameKey) *nameShard {
	return &m.names[(maphash.String(m.seed, key.name)^key.dir*mix)>>58]
}

// serialOf returns the serial of an object, 0 if it is not remembered.
func (m *memory) serialOf(ino uint64, id *causeway.ObjectID) (serial uint64) {
	sh := m.shard(ino)
	sh.mu.RLock()
	if e := sh.find(ino); e != nil && e.id == *id {
		serial = e.serial
	}
	sh.mu.RUnlock()
	return serial
}

// lookup finds a name in a directory. It is remembered if known, and then there is no such name if code is ErrNoEnt.
func (m *memory) lookup(dirIno uint64, dir *causeway.ObjectID, name string, id *causeway.ObjectID, a *causeway.Attr) (known bool, code causeway.Code) {
	if m == nil {
		return false, 0
	}
	key := nameKey{m.serialOf(dirIno, dir), name}
	if key.dir == 0 {
		return false, 0
	}
	ns := m.nameShard(key)
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	slot, ok := ns.slots[key]
	if !ok {
		return false, 0
	}
	found := &ns.entries[slot]
	if atomic.LoadUint32(&found.used) == 0 {
		atomic.StoreUint32(&found.used, 1)
	}
	if found.ino == 0 {
		return true, causeway.ErrNoEnt
	}
	sh := m.shard(found.ino)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e := sh.find(found.ino)
	if e == nil || !e.valid || e.serial != found.serial {
		return false, 0
	}
	*id, *a = e.id, e.attr
	return true, causeway.OK
}

// publishName remembers what was found after now returned t, or with a nil id that nothing was found.
func (m *memory) publishName(t uint64, dir *node, name string, ino uint64, id *causeway.ObjectID) {
	if m == nil {
		return
	}
	key := nameKey{m.serialOf(dir.ino, &dir.id), name}
	entry := nameEntry{ino: ino}
	if id != nil {
		if entry.serial = m.serialOf(ino, id); entry.serial == 0 {
			return
		}
	}
	if key.dir == 0 {
		return
	}
	ns := m.nameShard(key)
	ns.mu.Lock()
	defer ns.mu.Unlock()
	sh := m.shard(dir.ino)
	sh.mu.RLock()
	quiet := sh.quiet(dir.ino, t)
	sh.mu.RUnlock()
	if !quiet {
		return
	}
	key.name = strings.Clone(name)
	entry.key = key
	ns.put(entry, m.limit)
}

// put makes or replaces an entry, in place of one that was not used lately if there are too many.
func (ns *nameShard) put(entry nameEntry, limit int) {
	slot, found := ns.slots[entry.key]
	switch {
	case found:
	case len(ns.entries) < limit:
		slot = int32(len(ns.entries))
		ns.entries = append(ns.entries, nameEntry{})
	default:
		for {
			ns.hand++
			if ns.hand >= len(ns.entries) {
				ns.hand = 0
			}
			if atomic.SwapUint32(&ns.entries[ns.hand].used, 0) == 0 {
				break
			}
		}
		slot = int32(ns.hand)
		delete(ns.slots, ns.entries[slot].key)
	}
	ns.entries[slot] = entry
	ns.slots[entry.key] = slot
}

// drop forgets a name of a directory. It comes after begin of the directory and before the change.
func (m *memory) drop(dir *node, name string) {
	if m == nil {
		return
	}
	key := nameKey{m.serialOf(dir.ino, &dir.id), name}
	ns := m.nameShard(key)
	ns.mu.Lock()
	defer ns.mu.Unlock()
	slot, ok := ns.slots[key]
	if !ok {
		return
	}
	delete(ns.slots, key)
	last := len(ns.entries) - 1
	if int(slot) != last {
		ns.entries[slot] = ns.entries[last]
		ns.slots[ns.entries[slot].key] = slot
	}
	ns.entries[last] = nameEntry{}
	ns.entries = ns.entries[:last]
}
