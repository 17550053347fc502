package near

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway"
)

const shards = 64

// known is what leases allow to rely on. Everything of an object lies in one shard, under one lock.
type known struct {
	shards  [shards]shard
	objects int // per shard
	names   int // per shard

	// tenure rises whenever something is dropped: what was asked for before may have ended with it, unknown to the owner that answers.
	tenure atomic.Uint64

	mu      sync.Mutex
	volumes map[causeway.VolumeID]*recalled
}

type shard struct {
	mu      sync.RWMutex
	objects map[causeway.Handle]*object
	names   int // and entries of listings, of all objects
}

// object is what is known of one object: attributes, and names if it is a directory, each under a lease of its own number.
type object struct {
	attr      causeway.Attr
	attrSeq   uint64 // 0: not known
	attrUntil time.Duration

	namesSeq   uint64
	namesUntil time.Duration
	names      map[string]causeway.ObjectID // zero: there is no such name
	pages      map[uint64]*page             // by the cookie before them
	kept       int                          // names and entries

	target string      // of a symbolic link, which never changes
	used   atomic.Bool // since leases were renewed
}

func (o *object) use() {
	if !o.used.Load() {
		o.used.Store(true)
	}
}

// page is a part of a listing.
type page struct {
	entries []causeway.DirEntry // without attributes
	eof     bool
}

// recalled are the numbers up to which leases of a volume were recalled, while their replies may still be under way.
type recalled struct {
	epoch    causeway.Epoch
	lease    time.Duration
	byHandle map[causeway.Handle]uint64
	floor    uint64 // of all others
}

// maxRecalled bounds how many recalls are told apart. Beyond it, replies that are under way are not remembered.
const maxRecalled = 4096

func (k *known) init(objects, names int) {
	k.objects, k.names = max(1, objects/shards), max(1, names/shards)
	k.volumes = make(map[causeway.VolumeID]*recalled)
	for i := range k.shards {
		k.shards[i].objects = make(map[causeway.Handle]*object)
	}
}

func (k *known) shard(h causeway.Handle) *shard { return &k.shards[h.Hash()%shards] }

// attr returns leased attributes.
func (k *known) attr(h causeway.Handle, now time.Duration) (a causeway.Attr, ok bool) {
	s := k.shard(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if o := s.objects[h]; o != nil && o.attrSeq != 0 && now < o.attrUntil {
		o.use()
		return o.attr, true
	}
	return a, false
}

// lookup returns what a leased directory has under a name; dir are its attributes. id is zero if there is no such name.
func (k *known) lookup(h causeway.Handle, name string, now time.Duration) (dir causeway.Attr, id causeway.ObjectID, ok bool) {
	s := k.shard(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.objects[h]
	if o == nil || o.attrSeq == 0 || o.namesSeq == 0 || now >= o.attrUntil || now >= o.namesUntil {
		return dir, id, false
	}
	if id, ok = o.names[name]; ok {
		o.use()
	}
	return o.attr, id, ok
}

// page returns the entries behind a cookie of a leased directory. They are shared.
func (k *known) page(h causeway.Handle, cookie uint64, now time.Duration) (dir causeway.Attr, p *page, ok bool) {
	s := k.shard(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	o := s.objects[h]
	if o == nil || o.attrSeq == 0 || o.namesSeq == 0 || now >= o.attrUntil || now >= o.namesUntil {
		return dir, nil, false
	}
	if p = o.pages[cookie]; p != nil {
		o.use()
	}
	return o.attr, p, p != nil
}

// learn remembers what came with a grant that was asked for in a tenure.
func (k *known) learn(s *gateway.GrantSpec, r *gateway.GrantReply, until time.Duration, tenure uint64) {
	k.mu.Lock()
	k.volume(s.Handle.Volume).lease = r.Lease
	k.mu.Unlock()
	if r.Leases&causeway.LeaseAttr != 0 {
		k.learnAttr(s.Handle, r.Epoch, r.Seq, &r.Attr, until, tenure)
	}
	for i := range r.Entries {
		if x := &r.Entries[i]; x.Seq != 0 && x.Attr.Valid() {
			k.learnAttr(causeway.Handle{Volume: s.Handle.Volume, Object: x.Object}, r.Epoch, x.Seq, &x.Attr, until, tenure)
		}
	}
	if r.Leases&causeway.LeaseNames != 0 {
		k.learnNames(s, r, until, tenure)
	}
}

func (k *known) learnAttr(h causeway.Handle, epoch causeway.Epoch, seq uint64, a *causeway.Attr, until time.Duration, tenure uint64) {
	s := k.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.tenure.Load() != tenure || k.isRecalled(h, epoch, seq) {
		return
	}
	if o := s.object(h, k.objects); seq > o.attrSeq {
		o.attr, o.attrSeq, o.attrUntil = *a, seq, until
		o.use()
	}
}

func (k *known) learnNames(g *gateway.GrantSpec, r *gateway.GrantReply, until time.Duration, tenure uint64) {
	s := k.shard(g.Handle)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.tenure.Load() != tenure || k.isRecalled(g.Handle, r.Epoch, r.Seq) {
		return
	}
	o := s.object(g.Handle, k.objects)
	if r.Seq > o.namesSeq { // the lease goes on: what was known is true still, or it would have been recalled
		o.namesSeq, o.namesUntil = r.Seq, until
	}
	if o.names == nil {
		o.names, o.pages = map[string]causeway.ObjectID{}, map[uint64]*page{}
	}
	s.shrink(k.names-len(r.Entries)-1, o)
	was := len(o.names)
	for i := range r.Entries {
		if x := &r.Entries[i]; !x.Object.IsZero() && x.Name != "." && x.Name != ".." {
			o.names[strings.Clone(x.Name)] = x.Object
		}
	}
	if g.Name != "" && len(r.Entries) == 0 {
		o.names[strings.Clone(g.Name)] = causeway.ObjectID{}
	}
	more := len(o.names) - was
	if g.List > 0 && o.pages[g.Cookie] == nil {
		o.pages[g.Cookie] = pageOf(r)
		more += len(r.Entries) + 1
	}
	o.kept += more
	s.names += more
}

func pageOf(r *gateway.GrantReply) *page {
	p := &page{entries: make([]causeway.DirEntry, len(r.Entries)), eof: r.EOF}
	for i := range r.Entries {
		p.entries[i] = r.Entries[i].DirEntry
		p.entries[i].Name, p.entries[i].Attr = strings.Clone(p.entries[i].Name), causeway.Attr{}
	}
	return p
}

// object returns what is known of an object, in place of others if it is new and there are too many. Nothing that is forgotten
// is given back: it ends by itself.
func (s *shard) object(h causeway.Handle, limit int) *object {
	o := s.objects[h]
	if o == nil {
		for old := range s.objects {
			if len(s.objects) < limit {
				break
			}
			s.forget(old)
		}
		o = new(object)
		s.objects[h] = o
	}
	return o
}

// shrink forgets names until no more than so many are left, but those of one object only if there is no other way.
func (s *shard) shrink(limit int, but *object) {
	for h, o := range s.objects {
		if s.names <= limit {
			return
		}
		if o != but {
			s.forget(h)
		}
	}
	if s.names > limit {
		s.names -= but.kept
		but.kept = 0
		clear(but.names)
		clear(but.pages)
	}
}

func (s *shard) forget(h causeway.Handle) {
	if o := s.objects[h]; o != nil {
		s.names -= o.kept
		delete(s.objects, h)
	}
}
