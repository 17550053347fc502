package posix

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
)

// known names objects that are not open: by inode number, with the time of birth. With it a name is told by one statx.
//
// An entry (number, birth, id) says that an object with this number and this birth was seen under this id. It is made only if
// the birth lay at least settle before the moment in which the object was seen alive. Whoever has the number later was born
// after that moment, hence with another time of birth, as long as the clock that births are taken from does not run backwards
// by exactly the distance of the two. So an entry is true for ever, and no race with a removal can make it false; what is
// removed from the table is removed because it is of no use any more.
//
// This holds where one local kernel takes the time of birth from its own clock and lets nobody set it: see bornHere.
type known struct {
	shards [knownShards]knownShard
	limit  int // entries per shard
}

const (
	knownShards = 64
	knownMax    = 1 << 18 // entries
)

type knownShard struct {
	mu      sync.RWMutex
	slots   map[uint64]int32
	entries []knownEntry // in no order; hand sweeps over it
	hand    int
	_       [64]byte
}

// knownEntry holds no pointers, so that the collector has nothing to look at.
type knownEntry struct {
	ino   uint64
	btime causeway.Time
	id    causeway.ObjectID
	used  uint32 // atomic: since the hand came by
}

func newKnown(limit int) *known {
	k := &known{limit: max(1, limit/knownShards)}
	for i := range k.shards {
		k.shards[i].slots = map[uint64]int32{}
	}
	return k
}

func (k *known) shard(ino uint64) *knownShard { return &k.shards[(ino*mix)>>58] }

// get returns the id of the object with an inode number and a time of birth.
func (k *known) get(ino uint64, btime causeway.Time) (id causeway.ObjectID, ok bool) {
	sh := k.shard(ino)
	sh.mu.RLock()
	if slot, found := sh.slots[ino]; found {
		if entry := &sh.entries[slot]; entry.btime == btime {
			id, ok = entry.id, true
			if atomic.LoadUint32(&entry.used) == 0 {
				atomic.StoreUint32(&entry.used, 1)
			}
		}
	}
	sh.mu.RUnlock()
	return id, ok
}

// put makes or replaces the entry of an inode number.
func (k *known) put(ino uint64, btime causeway.Time, id causeway.ObjectID) {
	sh := k.shard(ino)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	slot, found := sh.slots[ino]
	switch {
	case found:
	case len(sh.entries) < k.limit:
		slot = int32(len(sh.entries))
		sh.entries = append(sh.entries, knownEntry{})
	default:
		slot = sh.victim()
		delete(sh.slots, sh.entries[slot].ino)
	}
	sh.entries[slot] = knownEntry{ino: ino, btime: btime, id: id}
	sh.slots[ino] = slot
}

// victim finds an entry that was not used since the hand was there last.
func (sh *knownShard) victim() int32 {
	for {
		sh.hand++
		if sh.hand >= len(sh.entries) {
			sh.hand = 0
		}
		if atomic.SwapUint32(&sh.entries[sh.hand].used, 0) == 0 {
			return int32(sh.hand)
		}
	}
}

// forget removes the entry of an inode number; with an id, only if it is that object's.
func (k *known) forget(ino uint64, id *causeway.ObjectID) {
	sh := k.shard(ino)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	slot, found := sh.slots[ino]
	if !found || id != nil && sh.entries[slot].id != *id {
		return
	}
	delete(sh.slots, ino)
	last := len(sh.entries) - 1
	if int(slot) != last {
		sh.entries[slot] = sh.entries[last]
		sh.slots[sh.entries[slot].ino] = slot
	}
	sh.entries = sh.entries[:last]
}

// count returns how many entries there are.
func (k *known) count() (n int) {
	for i := range k.shards {
		k.shards[i].mu.RLock()
		n += len(k.shards[i].entries)
		k.shards[i].mu.RUnlock()
	}
	return n
}

// bornHere reports whether the times of birth of a tree are to be trusted: they are kept, by the kernel's own clock, and no
// system call sets them. On file systems that other machines mount too, clocks differ, and some let clients set the time.
func bornHere(root int) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(root, &fs) != nil || (birth(root) == causeway.Time{}) {
		return false
	}
	switch int64(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, magicBtrfs, magicTmpfs, unix.F2FS_SUPER_MAGIC:
		return true
	}
	return false
}

// settled reports whether a birth lies far enough before a moment to tell the object from any that is born later.
func settled(btime causeway.Time, seen time.Time) bool {
	return btime != causeway.Time{} && seen.UnixNano()-(btime.Sec*1e9+int64(btime.Nsec)) > settle
}
