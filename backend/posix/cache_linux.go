package posix

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"causeway"
)

// cache holds the open nodes: by object id, and by inode number, because an inode number that the kernel tells (fstatat,
// getdents64) identifies a node that was open all the while, without opening anything.
//
// Exactly that "all the while" needs care: between the kernel's answer and the look into the cache the object may be deleted
// and its number given to another one that gets cached. So who asks by number takes a ticket first, and only nodes that are
// older than the ticket are believed.
type cache struct {
	shards []cacheShard
	byIno  []inoShard
	shift  uint
	limit  atomic.Int64 // nodes per shard
	max    atomic.Int64
	seq    atomic.Uint64
	leaves func(*node) // is told of a node that is evicted, before its descriptor is closed

	hits, misses, evictions atomic.Uint64
	count, dirty            atomic.Int64
}

type cacheShard struct {
	mu   sync.RWMutex
	byID map[causeway.ObjectID]*node
	ring []*node // in no order; hand sweeps over it
	hand int
	_    [64]byte
}

type inoShard struct {
	mu sync.RWMutex
	m  map[uint64]*node
	_  [64]byte
}

func newCache(max int) *cache {
	bits := uint(0)
	for bits < 6 && max>>bits > 256 {
		bits++
	}
	c := &cache{shards: make([]cacheShard, 1<<bits), byIno: make([]inoShard, 1<<bits), shift: 64 - bits}
	c.resize(max)
	for i := range c.shards {
		c.shards[i].byID = map[causeway.ObjectID]*node{}
		c.byIno[i].m = map[uint64]*node{}
	}
	return c
}

// resize changes the bound. What is over it goes when other nodes come.
func (c *cache) resize(max int) {
	c.max.Store(int64(max))
	c.limit.Store(int64((max + len(c.shards) - 1) / len(c.shards)))
}

const mix = 0x9e3779b97f4a7c15

func (c *cache) shard(id *causeway.ObjectID) *cacheShard {
	h := binary.LittleEndian.Uint64(id[0:]) ^ binary.LittleEndian.Uint64(id[8:])*3 ^ binary.LittleEndian.Uint64(id[16:])*5
	h = (h ^ h>>29) * mix
	return &c.shards[h>>c.shift]
}

func (c *cache) inoShard(ino uint64) *inoShard { return &c.byIno[(ino*mix)>>c.shift] }

// get returns the pinned node of id, or nil.
func (c *cache) get(id *causeway.ObjectID) *node {
	sh := c.shard(id)
	sh.mu.RLock()
	n := sh.byID[*id]
	if n != nil && !n.pin() {
		n = nil
	}
	sh.mu.RUnlock()
	if n == nil {
		c.misses.Add(1)
		return nil
	}
	c.hits.Add(1)
	return n
}

// ticket must be taken before asking the kernel for a number that getIno is to find.
func (c *cache) ticket() uint64 { return c.seq.Load() }

// getIno returns the pinned node with an inode number that the kernel told after the ticket was taken, or nil.
func (c *cache) getIno(ino, ticket uint64) *node {
	sh := c.inoShard(ino)
	sh.mu.RLock()
	n := sh.m[ino]
	if n != nil && (n.born > ticket || !n.pin()) {
		n = nil
	}
	sh.mu.RUnlock()
	return n
}

// put adds a node that its caller made and pinned. If there is one with that id it is returned, pinned, in place of the new
// one, whose descriptor is closed. What must go for it to fit is closed; dirty nodes are left, see Store.relieve.
func (c *cache) put(n *node) *node {
	sh := c.shard(&n.id)
	sh.mu.Lock()
	if old := sh.byID[n.id]; old != nil {
		if old.pin() {
			sh.mu.Unlock()
			unix.Close(n.fd)
			return old
		}
		sh.remove(old)
		c.count.Add(-1)
	}
	victims := sh.evict(int(c.limit.Load()) - 1)
	n.born = c.seq.Add(1)
	n.slot = len(sh.ring)
	sh.ring = append(sh.ring, n)
	sh.byID[n.id] = n
	c.count.Add(1 - int64(len(victims)))
	sh.mu.Unlock()

	is := c.inoShard(n.ino)
	is.mu.Lock()
	is.m[n.ino] = n
	is.mu.Unlock()
	for _, v := range victims {
		c.forgetIno(v)
		c.leaves(v)
		unix.Close(v.fd)
	}
	c.evictions.Add(uint64(len(victims)))
	return n
}

// evict takes unused nodes out until at most limit are left, or the hand has been round twice. They are dead, and the
// caller closes them.
func (sh *cacheShard) evict(limit int) (victims []*node) {
	for turns := 2 * len(sh.ring); len(sh.ring) > limit && turns > 0; turns-- {
		if sh.hand >= len(sh.ring) {
			sh.hand = 0
		}
		n := sh.ring[sh.hand]
		if n.used.Swap(false) || n.dirty.Load() || !n.refs.CompareAndSwap(0, dead) {
			sh.hand++
			continue
		}
		sh.remove(n)
		victims = append(victims, n)
	}
	return victims
}

// remove takes n out of the ring and the map.
func (sh *cacheShard) remove(n *node) {
	if n.slot < 0 {
		return
	}
	last := len(sh.ring) - 1
	sh.ring[n.slot] = sh.ring[last]
	sh.ring[n.slot].slot = n.slot
	sh.ring[last] = nil
	sh.ring = sh.ring[:last]
	n.slot = -1
	if sh.byID[n.id] == n {
		delete(sh.byID, n.id)
	}
}

func (c *cache) forgetIno(n *node) {
	is := c.inoShard(n.ino)
	is.mu.Lock()
	if is.m[n.ino] == n {
		delete(is.m, n.ino)
	}
	is.mu.Unlock()
}

// drop takes a node out that its caller has pinned: the object is gone. The last unpin closes it.
func (c *cache) drop(n *node) {
	sh := c.shard(&n.id)
	sh.mu.Lock()
	if n.slot >= 0 {
		sh.remove(n)
		c.count.Add(-1)
	}
	sh.mu.Unlock()
	c.forgetIno(n)
	n.gone.Store(true)
}

// each calls f for every node, pinned during the call.
func (c *cache) each(f func(*node)) {
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.RLock()
		nodes := make([]*node, 0, len(sh.ring))
		for _, n := range sh.ring {
			if n.refs.Load() >= 0 {
				nodes = append(nodes, n)
			}
		}
		sh.mu.RUnlock()
		for _, n := range nodes {
			used := n.used.Load()
			if n.pin() {
				f(n)
				n.used.Store(used)
				n.unpin()
			}
		}
	}
}

// close closes all that is not pinned.
func (c *cache) close() {
	c.each(c.drop)
}
