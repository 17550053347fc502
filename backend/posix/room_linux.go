package posix

import (
	"time"

	"golang.org/x/sys/unix"
)

// sweepEvery is how often objects are looked for that others deleted: their descriptors in the cache hold their storage.
const sweepEvery = 15 * time.Second

// sweep drops deleted objects from the cache, and syncs when it is asked to, until the store is closed.
func (s *Store) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.dropDeleted()
		case <-s.flush:
			_ = s.syncDirty() // failures reach OnSyncError
		}
	}
}

// dropDeleted drops every node whose object has no name any more.
func (s *Store) dropDeleted() {
	s.cache.each(func(n *node) {
		var st unix.Stat_t
		if e := fstat(n.fd, &st); n != s.root && (e == 0 && st.Nlink == 0 || e == unix.ESTALE) {
			s.cache.drop(n)
		}
	})
}

// roomy calls an open, and once more after it made room if there were no descriptors left.
func (s *Store) roomy(open func() (int, unix.Errno)) (int, unix.Errno) {
	fd, e := open()
	if e == unix.EMFILE || e == unix.ENFILE {
		s.streams.close()
		s.cache.shrink(4)
		fd, e = open()
	}
	return fd, e
}

// shrink evicts all but the fourth (or so) part of what is not used.
func (c *cache) shrink(part int) {
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		victims := sh.evict(len(sh.ring) / part)
		c.count.Add(-int64(len(victims)))
		sh.mu.Unlock()
		for _, v := range victims {
			c.forgetIno(v)
			c.leaves(v)
			unix.Close(v.fd)
		}
		c.evictions.Add(uint64(len(victims)))
	}
}

// makeRoom is called before a node comes into the cache. Files with unsynced writes are not evicted, because a descriptor
// that is opened after a failed writeback may not be told of it. When they fill a quarter of the cache they are synced beside
// the work, and when they fill most of it, before it goes on. Those that are being synced are not evicted either.
func (s *Store) makeRoom() {
	dirty, most := int(s.cache.dirty.Load()), int(s.cache.max.Load())
	switch {
	case dirty > most*3/4:
		_ = s.syncDirty() // failures reach OnSyncError
	case dirty+int(s.syncing.Load()) > most*3/4:
		s.syncAll.Lock() // until they are synced
		s.syncAll.Unlock()
	case dirty > most/4:
		select {
		case s.flush <- struct{}{}:
		default:
		}
	}
}
