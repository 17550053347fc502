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
// bound the cache gives up objects that were not used since the last look (CLOCK). Unstable writes are no reason to keep one:
// the storage answers for them after its object is closed.
type cache struct {
	shards [shards]shard
	limit  int // per shard

	stop    chan struct{}
	running sync.WaitGroup // the sweeper
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
	grant  causeway.Grant
	store  backend.Object
	noWait backend.NoWaitReader // nil if the object has not that power
	fd     backend.Descriptor   // likewise

	refs atomic.Int32
	used atomic.Bool
}

func (c *cache) init(limit int) {
	c.limit, c.stop = max(1, limit/shards), make(chan struct{})
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
		defer first.Release()
	}
	var out []*object
	if len(s.objects) >= c.limit {
		out = s.evictLocked()
	}
	s.objects[o.handle] = o
	s.mu.Unlock()
	for _, old := range out {
		old.Release()
	}
	return o
}

// evictLocked takes about an eighth of the objects out: unused ones, then any.
func (s *shard) evictLocked() (out []*object) {
	want := len(s.objects)/8 + 1
	for pass := range 2 {
		for h, o := range s.objects {
			if len(out) >= want {
				return out
			}
			if pass == 0 && o.used.Swap(false) {
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

// Release gives a reference back.
func (o *object) Release() {
	if o.refs.Add(-1) != 0 {
		return
	}
	_ = o.store.Close() // there is nobody to tell
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
