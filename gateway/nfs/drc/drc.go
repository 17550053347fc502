// Package drc is the duplicate-request cache: it gives a retransmitted call that must not be done twice (REMOVE, RENAME,
// CREATE, …) the reply of its first execution. It knows keys and reply bytes, no procedures.
//
// The key is (client address, xid, program, version, procedure, checksum of arguments and user). The client's port is no
// part of it, because not all clients keep it over a reconnect; the checksum tells a reused xid from a retransmission.
// The checksum's key is configured, so that gateways which share it give a repetition the same name (Cache.Op).
package drc

import (
	"container/list"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/dchest/siphash"

	"causeway"
	"causeway/internal/setting"
)

// Config configures a Cache. Zero values are replaced by defaults.
type Config struct {
	Secret           [16]byte      // key of the checksums and of the names of calls, the same at all gateways; default random
	MaxEntries       int           // in total; default 65,536
	MaxBytes         int           // of replies, in total; default 32 MiB
	MaxClientEntries int           // per client address, when there is no room for more; default 4,096
	MaxClientBytes   int           // likewise; default 4 MiB
	MaxAge           time.Duration // of a finished reply; default 5 minutes, longer than any client's retransmission
	Now              func() time.Time
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Secret == [16]byte{} {
		rand.Read(c.Secret[:])
	}
	return errors.Join(
		setting.Positive("drc: MaxEntries", &c.MaxEntries, 64<<10), setting.Positive("drc: MaxBytes", &c.MaxBytes, 32<<20),
		setting.Positive("drc: MaxClientEntries", &c.MaxClientEntries, 4<<10), setting.Positive("drc: MaxClientBytes", &c.MaxClientBytes, 4<<20),
		setting.Positive("drc: MaxAge", &c.MaxAge, 5*time.Minute),
	)
}

// Key identifies a call and its retransmissions.
type Key struct {
	Client           netip.Addr
	XID              uint32
	Prog, Vers, Proc uint32
	Sum              uint64
}

// State says what the cache knows of a call.
type State uint8

// The states.
const (
	Fresh    State = iota // the caller executes it and calls Finish or Abort
	Running               // a retransmission of a call in progress: its answer is that one's (see Ended)
	Finished              // answered: the reply was appended
)

// Cache is a bounded memory of replies. All methods may be called by many goroutines at once.
type Cache struct {
	cfg Config

	mu      sync.Mutex
	entries map[Key]*entry
	clients map[netip.Addr]*client
	done    list.List // finished entries of all clients, oldest first
	bytes   int
}

type entry struct {
	key          Key
	reply        []byte    // what the program appended to the reply
	finished     time.Time // zero while running
	running      bool
	ended        chan struct{} // closed when it runs no more; nil while nobody waits for that
	owner        *client
	inAll, inOwn *list.Element // nil while running
}

type client struct {
	done    list.List // this client's finished entries, oldest first
	bytes   int
	entries int // with the running ones
}

// New returns an empty cache.
func New(cfg Config) (*Cache, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Cache{cfg: cfg, entries: make(map[Key]*entry), clients: make(map[netip.Addr]*client)}, nil
}

// Sum returns the checksum of a call's arguments and user for Key.Sum.
func (c *Cache) Sum(args []byte, uid uint32) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(c.cfg.Secret[:]), binary.LittleEndian.Uint64(c.cfg.Secret[8:])
	return siphash.Hash(k0, k1^uint64(uid), args)
}

// Op names a call where its change is made: gateways with the same secret give a repetition the same name.
func (c *Cache) Op(k Key) (op causeway.OpID) {
	var b [16 + 5*4 + 8]byte
	addr := k.Client.As16()
	n := copy(b[:], addr[:])
	for _, v := range []uint32{k.XID, k.Prog, k.Vers, k.Proc} {
		binary.BigEndian.PutUint32(b[n:], v)
		n += 4
	}
	binary.BigEndian.PutUint64(b[n:], k.Sum)
	k0, k1 := binary.LittleEndian.Uint64(c.cfg.Secret[:]), binary.LittleEndian.Uint64(c.cfg.Secret[8:])
	hi, lo := siphash.Hash128(k0, k1, b[:])
	binary.BigEndian.PutUint64(op[:8], hi)
	binary.BigEndian.PutUint64(op[8:], lo)
	return op
}

// Begin asks whether a call was seen before. For a finished one its reply is appended to dst. A call that is Fresh must be
// ended by Finish or Abort.
func (c *Cache) Begin(k Key, dst []byte) ([]byte, State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	if e := c.entries[k]; e != nil {
		if e.running {
			return dst, Running
		}
		return append(dst, e.reply...), Finished
	}
	cl := c.clientLocked(k.Client)
	if cl.entries-cl.done.Len() >= c.cfg.MaxClientEntries || len(c.entries)-c.done.Len() >= c.cfg.MaxEntries {
		c.forgetLocked(k.Client, cl)
		return dst, Fresh // done, but not remembered: so many calls at once are no client's retransmissions
	}
	cl.entries++
	c.entries[k] = &entry{key: k, running: true, owner: cl}
	return dst, Fresh
}

// Ended returns a channel that is closed when a running call has ended: it is finished then, or its retransmission is Fresh. nil: it
// does not run.
func (c *Cache) Ended(k Key) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil || !e.running {
		return nil
	}
	if e.ended == nil {
		e.ended = make(chan struct{})
	}
	return e.ended
}

// wake tells those who wait for the end of a call.
func (e *entry) wake() {
	if e.ended != nil {
		close(e.ended)
		e.ended = nil
	}
}

// Finish remembers the reply of a call that Begin called Fresh; the bytes are copied.
func (c *Cache) Finish(k Key, reply []byte) {
	kept := append([]byte(nil), reply...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil && e.running {
		e.reply, e.finished = kept, c.cfg.Now()
		c.finishLocked(e)
		e.wake()
	}
}

// Abort forgets a call that Begin called Fresh and that had no effect.
func (c *Cache) Abort(k Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil && e.running {
		c.dropLocked(e)
		e.wake()
	}
}

// Usage is how full a cache is.
type Usage struct {
	Entries, Bytes, Clients int
}

// Usage returns the counts, for status.
func (c *Cache) Usage() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Usage{len(c.entries), c.bytes, len(c.clients)}
}
