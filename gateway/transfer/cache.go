package transfer

import (
	"context"
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
	mu       sync.RWMutex
	objects  map[causeway.Handle]*object
	asking   map[causeway.Handle]*asking
	leaving  map[causeway.Handle]*object // out of the cache, and in use; or with something to commit that may not have been told
	offers   map[causeway.Handle]*offered
	recalled map[causeway.VolumeID]uint64 // the highest number of a recall of one of the shard's objects
	_        [56]byte                     // a shard's lock word shares no cache line with its neighbour's
}

// object is an open object under a grant. refs counts the cache and every user; who drops it to zero closes.
type object struct {
	handle causeway.Handle
	vol    *volume
	grant  causeway.Grant
	store  backend.Object
	noWait backend.NoWaitReader // nil if the object has not that power
	fd     backend.Descriptor   // likewise

	most   causeway.IOMode // of its grant and of those before it whose users it waits for
	align  uint64          // of its grant's span; 0: that is always all of the file
	mapped *mapped         // the store, if the grant's extents say where the bytes are
	full   atomic.Bool     // there were no blocks to write to

	engine *Engine
	leased bool         // the grant ends by itself
	until  atomic.Int64 // when, by the engine's clock; a grant without a lease has none
	active atomic.Bool  // was used since it was renewed
	wrote  atomic.Bool  // was written, and nobody who watches has been told, see written
	tenure atomic.Uint64
	life   uint64

	refs    atomic.Int32
	lent    atomic.Int32           // of these, ranges that were lent to be sent: nobody waits for them
	next    atomic.Pointer[object] // of a later grant of the same; held while somebody uses this one, who must be waited for with those
	used    atomic.Bool
	out     atomic.Bool   // of the cache: nobody enters it any more
	revoked atomic.Bool   // not to be given back
	left    chan struct{} // told when somebody leaves an object that is out
}

func (c *cache) init(limit int) {
	c.limit, c.stop = max(1, limit/shards), make(chan struct{})
	for i := range c.shards {
		c.shards[i].objects = make(map[causeway.Handle]*object)
		c.shards[i].asking = make(map[causeway.Handle]*asking)
		c.shards[i].leaving = make(map[causeway.Handle]*object)
		c.shards[i].offers = make(map[causeway.Handle]*offered)
		c.shards[i].recalled = make(map[causeway.VolumeID]uint64)
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
	if o.leased && !o.active.Load() {
		o.active.Store(true)
	}
	return o
}

// put adds an object that the caller opened, in place of what was there under an earlier grant, and returns it with a reference
// for him; nil, with the object closed, if the grant was recalled before.
func (c *cache) put(o *object, a *asking) *object {
	o.refs.Store(2)
	o.used.Store(true)
	o.active.Store(true)
	var out []*object
	s := c.shard(o.handle)
	s.mu.Lock()
	if a.voids(o.grant.Seq) {
		s.mu.Unlock()
		o.refs.Store(1)
		o.revoked.Store(true)
		o.Release()
		return nil
	}
	o.most = o.grant.Mode
	if last := s.leaving[o.handle]; last != nil {
		delete(s.leaving, o.handle)
		last.before(o)
	}
	if first := s.objects[o.handle]; first != nil {
		first.out.Store(true)
		first.revoked.Store(true) // its grant goes on in the new one
		first.before(o)
		out = append(out, first)
	} else if len(s.objects) >= c.limit {
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
		for _, o := range s.objects {
			if len(out) >= want {
				return out
			}
			if pass == 0 && o.used.Swap(false) || o.busy() {
				continue
			}
			s.removeLocked(o)
			out = append(out, o)
		}
	}
	return out
}

// removeLocked takes an object out. The caller releases it.
func (s *shard) removeLocked(o *object) {
	o.out.Store(true)
	delete(s.objects, o.handle)
	s.leaving[o.handle] = o
}

// revoke takes an object out of the cache if its grant has a number up to seq and allows more than keep, and returns it, or one that has
// left before and that somebody may still be using, or nil. A grant that is being asked for, and numbered so, will not be used.
func (c *cache) revoke(h causeway.Handle, seq uint64, keep causeway.IOMode) *object {
	s := c.shard(h)
	s.mu.Lock()
	if a := s.asking[h]; a != nil {
		a.void, a.voided = max(a.void, seq), true
	}
	s.withdrawLocked(h, seq)
	o := s.objects[h]
	if o == nil || o.grant.Seq > seq || o.most <= keep {
		o = s.leaving[h] // recalled before, for less perhaps
		s.mu.Unlock()
		return o
	}
	o.revoked.Store(true)
	s.removeLocked(o)
	s.mu.Unlock()
	o.Release()
	return o
}

// forgetLeft forgets an object that is out if nobody uses it, nor has to be told of what was written.
func (c *cache) forgetLeft(o *object) {
	s := c.shard(o.handle)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving[o.handle] == o && o.vacant() && !(o.mapped != nil && o.valid() && o.mapped.mayTell()) {
		delete(s.leaving, o.handle)
	}
}

// left returns the object that has left last, if anybody may still use it or has to be told of it.
func (c *cache) left(h causeway.Handle) *object {
	s := c.shard(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.leaving[h]
}

func (c *cache) leftOf(id causeway.VolumeID) (list []*object) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		for h, o := range s.leaving {
			if h.Volume == id {
				list = append(list, o)
			}
		}
		s.mu.RUnlock()
	}
	return list
}

// forgetHanded forgets what was written and told so long ago that nobody counts it any more.
func (c *cache) forgetHanded(id causeway.VolumeID) {
	for _, o := range c.leftOf(id) {
		c.forgetLeft(o)
	}
}

// dropIf is drop of exactly this object.
func (c *cache) dropIf(o *object) {
	s := c.shard(o.handle)
	s.mu.Lock()
	mine := s.objects[o.handle] == o
	if mine {
		s.removeLocked(o)
	}
	s.mu.Unlock()
	if mine {
		o.Release()
	}
}

// peek is get that does not count as a use.
func (c *cache) peek(h causeway.Handle) *object {
	s := c.shard(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.objects[h]
	if o != nil {
		o.refs.Add(1)
	}
	return o
}

// each calls f for all objects of a volume.
func (c *cache) each(id causeway.VolumeID, f func(*object)) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		for h, o := range s.objects {
			if h.Volume == id {
				f(o)
			}
		}
		s.mu.RUnlock()
	}
}

func (c *cache) dropVolume(id causeway.VolumeID) {
	c.dropOffers(id)
	c.dropWhere(func(o *object) bool { return o.handle.Volume == id })
}

func (c *cache) dropWhere(match func(*object) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		var out []*object
		s.mu.Lock()
		for _, o := range s.objects {
			if match(o) {
				s.removeLocked(o)
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
	left := o.refs.Add(-1)
	if o.out.Load() {
		o.leave()
	}
	if left != 0 {
		return
	}
	_ = o.store.Close() // there is nobody to tell
	if o.wrote.Load() {
		o.engine.written.add(o.handle)
	}
	if !o.revoked.Load() && o.grant.Seq != 0 {
		o.engine.giveBack(o)
	}
}

// before makes a later grant's recall wait for those who use this one too. The later one is held for them.
func (o *object) before(next *object) {
	next.refs.Add(1)
	next.most = max(next.most, o.most)
	o.next.Store(next)
	o.leaveNext()
}

// vacant reports whether nobody uses an object that is out, but those who send what they have read.
func (o *object) vacant() bool { return o.refs.Load() == o.lent.Load() }

// leave tells those who wait that somebody left an object that is out.
func (o *object) leave() {
	select {
	case o.left <- struct{}{}:
	default: // they are being told already
	}
	if o.vacant() {
		o.leaveNext()
		o.engine.cache.forgetLeft(o)
	}
}

func (o *object) leaveNext() {
	if o.vacant() {
		if next := o.next.Swap(nil); next != nil {
			next.Release()
		}
	}
}

// idle waits until an object that is out is vacant.
func (o *object) idle(ctx context.Context) error {
	for !o.vacant() {
		select {
		case <-o.left:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case o.left <- struct{}{}: // others wait too
	default:
	}
	return nil
}

// busy reports whether I/O runs that a recall would wait for: then the object must be found by it. The shard is locked.
// What the owner must be told of is kept too.
func (o *object) busy() bool {
	return o.grant.Seq != 0 && o.refs.Load()-o.lent.Load() > 1 || o.mapped != nil && o.mapped.dirty()
}

// lentObject is an object whose descriptor somebody sends from.
type lentObject object

// Release implements gateway.Releaser.
func (l *lentObject) Release() {
	o := (*object)(l)
	o.lent.Add(-1)
	o.Release()
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
				c.dropWhere(func(o *object) bool { return !o.used.Swap(false) && !o.busy() })
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
