package transfer

import (
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/backend"
)

const shards = 64

// cache holds the open objects by handle: the grant cache. Lookups take one shard's read lock and touch one counter. Over its
// bound the cache gives up objects that were not used since the last look (CLOCK), those without unstable writes first.
type cache struct {
	shards [shards]shard
	limit  int // per shard
	settle func(*object)

	stop    chan struct{}
	running sync.WaitGroup // the sweeper and closers of evicted objects
	hits    atomic.Uint64
	misses  atomic.Uint64
}

type shard struct {
	mu      sync.RWMutex
	objects map[causeway.Handle]*object
	_       [24]byte // a shard's lock word shares no cache line with its neighbour's
}

// object is an open object under a grant. refs counts the cache and every user; who drops it to zero closes.
type object struct {
	handle causeway.Handle
	vol    *volume
	cache  *cache
	grant  causeway.Grant
	store  backend.Object
	noWait backend.NoWaitReader // nil if the object has not that power
	fd     backend.Descriptor   // likewise

	refs  atomic.Int32
	used  atomic.Bool
	dirty atomic.Bool // has unstable writes that no sync has covered
	gone  atomic.Bool // removed: its unstable writes concern nobody
}

func (c *cache) init(limit int, settle func(*object)) {
	c.limit, c.settle, c.stop = max(1, limit/shards), settle, make(chan struct{})
	for i := range c.shards {
		c.shards[i].objects = make(map[causeway.Handle]*object)
	}
}

func (c *cache) shard(h causeway.Handle) *shard { return &c.shards[h.Hash()%shards] }

// get returns the object, with a reference for the caller, or nil.
func (c *cache) get(h causeway.Handle) *object {
	s := c.shard(h)
	s.mu.RLock()
	o := s.objects[h]
	if o != nil {
		o.refs.Add(1)
	}
	s.mu.RUnlock()
	if o == nil {
		c.misses.Add(1)
		return nil
	}
	if !o.used.Load() {
		o.used.Store(true)
	}
	return o
}

// put adds an object that the caller opened and returns it with a reference for him; if another one was quicker, that one,
// and the caller's is closed.
func (c *cache) put(o *object) *object {
	o.cache = c
	o.refs.Store(2)
	o.used.Store(true)
	s := c.shard(o.handle)
	s.mu.Lock()
	if first := s.objects[o.handle]; first != nil && first.grant.Mode >= o.grant.Mode {
		first.refs.Add(1)
		s.mu.Unlock()
		o.refs.Store(1)
		o.Release()
		return first
	} else if first != nil {
		defer c.release(first)
	}
	var out []*object
	if len(s.objects) >= c.limit {
		out = s.evictLocked()
	}
	s.objects[o.handle] = o
	s.mu.Unlock()
	c.releaseAll(out)
	return o
}

// evictLocked takes about an eighth of the objects out: unused ones without unstable writes, then unused ones, then any.
func (s *shard) evictLocked() (out []*object) {
	want := len(s.objects)/8 + 1
	for pass := range 3 {
		for h, o := range s.objects {
			if len(out) >= want {
				return out
			}
			if pass == 0 && o.used.Swap(false) || pass <= 1 && (o.used.Load() || o.dirty.Load()) {
				continue
			}
			delete(s.objects, h)
			out = append(out, o)
		}
	}
	return out
}

// drop takes an object out of the cache and returns it with the cache's reference, or nil.
func (c *cache) drop(h causeway.Handle) *object {
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[h]
	delete(s.objects, h)
	return o
}

// dropIf is drop of exactly this object.
func (c *cache) dropIf(o *object) {
	s := c.shard(o.handle)
	s.mu.Lock()
	mine := s.objects[o.handle] == o
	if mine {
		delete(s.objects, o.handle)
	}
	s.mu.Unlock()
	if mine {
		o.Release()
	}
}

func (c *cache) dropVolume(id causeway.VolumeID) {
	c.dropWhere(func(o *object) bool { return o.handle.Volume == id })
}

func (c *cache) dropWhere(match func(*object) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		var out []*object
		s.mu.Lock()
		for h, o := range s.objects {
			if match(o) {
				delete(s.objects, h)
				out = append(out, o)
			}
		}
		s.mu.Unlock()
		for _, o := range out {
			o.Release()
		}
	}
}

// release gives a reference of the cache back in the background when closing may have to sync.
func (c *cache) release(o *object) {
	if !o.dirty.Load() {
		o.Release()
		return
	}
	c.running.Go(o.Release)
}

func (c *cache) releaseAll(out []*object) {
	for _, o := range out {
		c.release(o)
	}
}

// Release gives a reference back.
func (o *object) Release() {
	if o.refs.Add(-1) != 0 {
		return
	}
	if o.dirty.Load() && !o.gone.Load() {
		o.cache.settle(o)
	}
	_ = o.store.Close() // everything was synced; there is nobody to tell
}

// sweep closes objects that were not used for between one and two periods: a descriptor keeps the space of a file that was
// removed beside the gateway.
func (c *cache) sweep(period time.Duration) {
	c.running.Go(func() {
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-tick.C:
				c.dropWhere(func(o *object) bool { return !o.used.Swap(false) })
			}
		}
	})
}

func (c *cache) close() {
	close(c.stop)
	c.running.Wait()
}

// open counts the objects.
func (c *cache) open() (n int) {
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].objects)
		c.shards[i].mu.RUnlock()
	}
	return n
}
