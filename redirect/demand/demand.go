// Package demand counts what each client does with each volume by each protocol, so that a gateway knows which client causes how much of its
// load. Counting is cheap enough for every call: most find their counters where the call before did, and make three additions.
//
// Not here: who shall go (redirect), how busy the gateway is as a whole (redirect/utilization).
package demand

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
)

// Key is what is counted apart.
type Key struct {
	Client   netip.Addr
	Volume   causeway.VolumeID
	Protocol string // from a closed set: "nfs", "smb"
}

// Use is what was counted of a key.
type Use struct {
	Key
	Since, Last time.Time // of the first call and of the last one, as exact as Tick is called
	Calls       uint64
	Bytes       uint64 // of requests and replies
}

// Config bounds a Book.
type Config struct {
	Max  int           // keys that are counted at once; calls of further ones are not; default 64 Ki
	Idle time.Duration // after which a key is forgotten; default 10 minutes
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Max < 0 || c.Idle < 0 {
		return errors.New("demand: Max and Idle must not be negative")
	}
	if c.Max == 0 {
		c.Max = 64 << 10
	}
	if c.Idle == 0 {
		c.Idle = 10 * time.Minute
	}
	return nil
}

const shards = 64

// Book counts. It is safe for concurrent use.
type Book struct {
	cfg   Config
	now   atomic.Int64 // Unix time in nanoseconds, of the last Tick
	held  atomic.Int64
	parts [shards]shard
}

type shard struct {
	mu   sync.RWMutex
	held map[Key]*entry
	last atomic.Pointer[entry] // that was looked up last, and is held: a client's calls come after one another
	_    [24]byte              // a cache line of its own
}

type entry struct {
	key                Key
	since              int64
	last, calls, bytes atomic.Uint64
}

// New returns a Book that has counted nothing.
func New(cfg Config, now time.Time) (*Book, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Book{cfg: cfg}
	for i := range b.parts {
		b.parts[i].held = map[Key]*entry{}
	}
	b.now.Store(now.UnixNano())
	return b, nil
}

// Add counts a call that moved so many bytes.
func (b *Book) Add(k Key, bytes int) {
	p := &b.parts[place(&k)]
	e := p.last.Load()
	if e == nil || e.key != k {
		if e = p.find(&k); e == nil {
			if e = b.begin(p, k); e == nil {
				return
			}
		}
	}
	e.calls.Add(1)
	e.bytes.Add(uint64(max(bytes, 0)))
	if now := uint64(b.now.Load()); e.last.Load() != now {
		e.last.Store(now)
	}
}

// find looks a key up. What is remembered is held: who forgets it has the lock.
func (p *shard) find(k *Key) *entry {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e := p.held[*k]
	if e != nil {
		p.last.Store(e)
	}
	return e
}

// place spreads keys over the shards: clients of a site differ in the last bytes of their addresses.
func place(k *Key) int {
	a := k.Client.As16()
	return int((uint64(a[15]) ^ uint64(a[14])<<3 ^ uint64(k.Volume)) % shards)
}

// begin makes room for a key; nil: there is none.
func (b *Book) begin(p *shard, k Key) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.held[k]; e != nil { // somebody else was faster
		return e
	}
	if b.held.Add(1) > int64(b.cfg.Max) {
		b.held.Add(-1)
		return nil
	}
	e := &entry{key: k, since: b.now.Load()}
	p.held[k] = e
	return e
}

// Tick says what time it is, and forgets who has been idle for long.
func (b *Book) Tick(now time.Time) {
	b.now.Store(now.UnixNano())
	oldest := now.Add(-b.cfg.Idle).UnixNano()
	for i := range b.parts {
		p := &b.parts[i]
		p.mu.Lock()
		for k, e := range p.held {
			if max(int64(e.last.Load()), e.since) < oldest {
				delete(p.held, k)
				p.last.CompareAndSwap(e, nil)
				b.held.Add(-1)
			}
		}
		p.mu.Unlock()
	}
}

// Uses lists what was counted, by client, volume and protocol.
func (b *Book) Uses() (out []Use) {
	for i := range b.parts {
		p := &b.parts[i]
		p.mu.RLock()
		for k, e := range p.held {
			out = append(out, Use{k, time.Unix(0, e.since), time.Unix(0, max(int64(e.last.Load()), e.since)), e.calls.Load(), e.bytes.Load()})
		}
		p.mu.RUnlock()
	}
	slices.SortFunc(out, func(a, b Use) int {
		return cmp.Or(a.Client.Compare(b.Client), cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}
