package posix

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"causeway"
)

// memory is what the store of an exclusive volume remembers of its objects: attributes by inode number, names (see
// memnames_linux.go), and listings (see listing_linux.go). Nobody else changes the tree, so what was read stays true until the
// store itself changes it.
//
// Every change of an object is between begin and end, and every read that is to be remembered is preceded by now:
//
//   - begin makes the object's attributes unknown, moves its version on and counts it as changing; end counts it down. Both
//     move the clock on and note its time at the shard.
//   - publish remembers what was read after now returned t, unless the object is changing, or anything in its shard began or
//     ended to change after t.
//
// So whatever is published was read when no change ran, and none has begun since: a change that was running at t is running
// still, or ended after t. The clock is read without the shard's lock; it is moved under it, so a change whose begin is not
// seen at the shard by publish begins after publish, and makes unknown what was published.
//
// An entry also says that its object is alive: it is removed before the change that takes the last name ends, and cannot be
// published meanwhile. The serial of an entry tells it from another one of the same inode number, before or after.
//
// What the kernel changes by itself lags: the time of access, and the storage that is used, until the object is read anew.
// All methods may be called on a nil memory, which remembers nothing.
type memory struct {
	shards [memoryShards]memoryShard
	names  [memoryShards]nameShard
	lists  listings

	versions [memoryVersions]atomic.Uint64 // how many changes began of the objects that share one, see listing

	clock  atomic.Uint64
	serial atomic.Uint64
	limit  int // entries, and names, per shard
	seed   maphash.Seed
}

const (
	memoryShards = 64
	memoryMax    = 1 << 17 // objects, and names

	memoryVersions = 1 << 16
)

type memoryShard struct {
	mu       sync.RWMutex
	slots    map[uint64]int32
	entries  []memoryEntry // in no order; hand sweeps over it
	hand     int
	changed  uint64           // the clock when a change last began or ended
	changing map[uint64]int32 // how many changes of an object run
}

type memoryEntry struct {
	id     causeway.ObjectID
	attr   causeway.Attr
	ino    uint64
	serial uint64
	valid  bool   // attr is
	used   uint32 // atomic: since the hand came by
}

func newMemory(limit int) *memory {
	m := &memory{limit: max(1, limit/memoryShards), seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].slots, m.shards[i].changing = map[uint64]int32{}, map[uint64]int32{}
		m.names[i].slots = map[nameKey]int32{}
	}
	m.lists.max, m.lists.byIno = listingMax, map[uint64]*listing{}
	return m
}

// version returns the version of an object.
func (m *memory) version(ino uint64) *atomic.Uint64 { return &m.versions[ino%memoryVersions] }

func (m *memory) shard(ino uint64) *memoryShard { return &m.shards[(ino*mix)>>58] }

// find returns the entry of an inode number, or nil. The shard is locked.
func (sh *memoryShard) find(ino uint64) *memoryEntry {
	if slot, ok := sh.slots[ino]; ok {
		e := &sh.entries[slot]
		if atomic.LoadUint32(&e.used) == 0 {
			atomic.StoreUint32(&e.used, 1)
		}
		return e
	}
	return nil
}

// attr returns the attributes of an object, if they are remembered.
func (m *memory) attr(ino uint64, id *causeway.ObjectID, a *causeway.Attr) bool {
	if m == nil {
		return false
	}
	sh := m.shard(ino)
	sh.mu.RLock()
	e := sh.find(ino)
	ok := e != nil && e.valid && e.id == *id
	if ok {
		*a = e.attr
	}
	sh.mu.RUnlock()
	return ok
}

// listed returns the object of an inode number that a directory told after the ticket was taken: one that was remembered
// before, so that it had the number all the while.
func (m *memory) listed(ino, ticket uint64, id *causeway.ObjectID, a *causeway.Attr) bool {
	if m == nil {
		return false
	}
	sh := m.shard(ino)
	sh.mu.RLock()
	e := sh.find(ino)
	ok := e != nil && e.valid && e.serial <= ticket
	if ok {
		*id, *a = e.id, e.attr
	}
	sh.mu.RUnlock()
	return ok
}

// ticket must be taken before reading the entries of a directory for which listed is called.
func (m *memory) ticket() uint64 {
	if m == nil {
		return 0
	}
	return m.serial.Load()
}

// now must be called before reading what is to be published.
func (m *memory) now() uint64 {
	if m == nil {
		return 0
	}
	return m.clock.Load()
}

// publish remembers attributes that were read after now returned t.
func (m *memory) publish(t uint64, id *causeway.ObjectID, a *causeway.Attr) {
	if m == nil || a.Nlink == 0 {
		return
	}
	sh := m.shard(a.FileID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.quiet(a.FileID, t) {
		return
	}
	e := sh.find(a.FileID)
	switch {
	case e == nil:
		e = sh.make(a.FileID, m.limit)
		e.serial = m.serial.Add(1)
	case e.id != *id:
		e.serial = m.serial.Add(1)
	case e.valid && a.Extended && !e.attr.Extended:
		return // what is there is as true, and tells of the ACL
	}
	e.id, e.attr, e.valid = *id, *a, true
}

// quiet reports whether an object was not changed since the clock showed t. The shard is locked.
func (sh *memoryShard) quiet(ino, t uint64) bool { return sh.changed <= t && sh.changing[ino] == 0 }

// make returns an entry for an inode number that has none, in place of one that was not used lately if there are too many.
func (sh *memoryShard) make(ino uint64, limit int) *memoryEntry {
	slot := int32(len(sh.entries))
	if len(sh.entries) < limit {
		sh.entries = append(sh.entries, memoryEntry{})
	} else {
		for {
			sh.hand++
			if sh.hand >= len(sh.entries) {
				sh.hand = 0
			}
			if atomic.SwapUint32(&sh.entries[sh.hand].used, 0) == 0 {
				break
			}
		}
		slot = int32(sh.hand)
		delete(sh.slots, sh.entries[slot].ino)
	}
	sh.slots[ino] = slot
	e := &sh.entries[slot]
	*e = memoryEntry{ino: ino}
	return e
}

// begin is called before a change of objects; 0 is none.
func (m *memory) begin(inos ...uint64) {
	if m == nil {
		return
	}
	for _, ino := range inos {
		if ino == 0 {
			continue
		}
		sh := m.shard(ino)
		sh.mu.Lock()
		sh.changed = m.clock.Add(1)
		sh.changing[ino]++
		m.version(ino).Add(1)
		if slot, ok := sh.slots[ino]; ok {
			sh.entries[slot].valid = false
		}
		sh.mu.Unlock()
	}
}

// end is called after a change of objects, whatever came of it.
func (m *memory) end(inos ...uint64) {
	if m == nil {
		return
	}
	for _, ino := range inos {
		if ino == 0 {
			continue
		}
		sh := m.shard(ino)
		sh.mu.Lock()
		sh.endLocked(ino, m.clock.Add(1))
		sh.mu.Unlock()
	}
}

// endGone is end of an object that lost a name, and may be gone: nothing is remembered of it.
func (m *memory) endGone(ino uint64) {
	if m == nil || ino == 0 {
		return
	}
	sh := m.shard(ino)
	sh.mu.Lock()
	sh.remove(ino)
	sh.endLocked(ino, m.clock.Add(1))
	sh.mu.Unlock()
}

func (sh *memoryShard) endLocked(ino, clock uint64) {
	sh.changed = clock
	if sh.changing[ino]--; sh.changing[ino] == 0 {
		delete(sh.changing, ino)
	}
}

func (sh *memoryShard) remove(ino uint64) {
	slot, ok := sh.slots[ino]
	if !ok {
		return
	}
	delete(sh.slots, ino)
	last := len(sh.entries) - 1
	if int(slot) != last {
		sh.entries[slot] = sh.entries[last]
		sh.slots[sh.entries[slot].ino] = slot
	}
	sh.entries[last] = memoryEntry{}
	sh.entries = sh.entries[:last]
}

// count returns how many objects are remembered.
func (m *memory) count() (n int) {
	if m == nil {
		return 0
	}
	for i := range m.shards {
		m.shards[i].mu.RLock()
		n += len(m.shards[i].entries)
		m.shards[i].mu.RUnlock()
	}
	return n
}
