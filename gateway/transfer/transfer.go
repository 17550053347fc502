// Package transfer is the data part: it moves bytes between clients and storage under grants, at the gateway that received
// the request. It finds the grant of a handle in its cache, asks the administrative gateway once when it has none, and decides
// a caller's rights from the object's attributes alone. It knows no protocol and asks nobody on the way of a cached read or
// write.
package transfer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/internal/boottime"
	"causeway/internal/overlap"
)

// Config is what an Engine is made of.
type Config struct {
	Grants  gateway.Layouts // where grants come from
	MaxOpen int             // objects kept open at most, beyond those in use; default 8192
	Idle    time.Duration   // an object unused for so long is closed; default 60 s

	// Node is this gateway's name, under which it asks for grants; empty where there are no others.
	Node string
	// Now is a time that goes on while the process is stopped; default boottime.Now.
	Now func() time.Duration
	// Alive reports whether this gateway may do I/O at a moment of Now. Writes and syncs ask it before and after. nil: always.
	Alive func(now time.Duration) bool
	// Life counts how often this gateway was cut off: what was sent before is not written after (gateway.Caller.Life). nil: never.
	Life func() uint64
	// Renew is how often leases of grants in use are renewed; default 1 s, which must be well below what leases last.
	Renew time.Duration
	// Granted is told of each grant before it is used, with its number. nil: nobody is.
	Granted func(h causeway.Handle, seq uint64)
	// Guard is asked before each I/O on objects whose grants say so. nil: what is denied is ErrLocked for everybody.
	Guard gateway.Guard
}

// Engine implements gateway.Transfer and gateway.Holder.
type Engine struct {
	cfg     Config
	recent  func() time.Duration // Now, nearly, for reads
	cache   cache
	changes overlap.Table
	flushes flushes
	returns returns
	written written

	mu      sync.Mutex // serialises Attach and Detach
	volumes atomic.Pointer[map[causeway.VolumeID]*volume]
}

// volume is an attached volume.
type volume struct {
	id       causeway.VolumeID
	store    backend.Store
	blocks   backend.Blocks // nil: a file system below owns the blocks
	verifier *verifier
	lost     atomic.Uint64 // with blocks: the latest key that the device refuses
	handed   atomic.Bool   // with blocks: an owner, here or elsewhere, got something of which nobody has told that it is stable

	mu     sync.Mutex
	epoch  causeway.Epoch // the latest known
	tenure atomic.Uint64  // counts epochs; objects of an earlier one are not used
	life   atomic.Uint64  // counts how often this gateway was cut off, which objects without a lease do not outlive either
}

var (
	_ gateway.Transfer = (*Engine)(nil)
	_ gateway.Holder   = (*Engine)(nil)
)

// New returns an Engine without volumes. Close ends it.
func New(cfg Config) *Engine {
	if cfg.MaxOpen <= 0 {
		cfg.MaxOpen = 8192
	}
	if cfg.Idle <= 0 {
		cfg.Idle = time.Minute
	}
	recent := cfg.Now
	if cfg.Now == nil {
		cfg.Now, recent = boottime.Now, boottime.Recent
	}
	if cfg.Renew <= 0 {
		cfg.Renew = time.Second
	}
	e := &Engine{cfg: cfg, recent: recent}
	e.flushes.of = make(map[causeway.Handle]*turns)
	e.returns.some = make(chan struct{}, 1)
	e.volumes.Store(&map[causeway.VolumeID]*volume{})
	e.cache.init(cfg.MaxOpen)
	e.cache.sweep(cfg.Idle)
	e.cache.running.Go(e.keep)
	return e
}

// Attach makes a volume's storage reachable; an attached volume keeps its write verifier.
func (e *Engine) Attach(id causeway.VolumeID, s backend.Store) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(*e.volumes.Load())
	if next[id] != nil {
		return
	}
	blocks, _ := s.(backend.Blocks)
	next[id] = &volume{id: id, store: s, blocks: blocks, verifier: newVerifier()}
	e.volumes.Store(&next)
}

// Detach closes what is open of a volume and forgets it.
func (e *Engine) Detach(id causeway.VolumeID) {
	e.mu.Lock()
	next := maps.Clone(*e.volumes.Load())
	delete(next, id)
	e.volumes.Store(&next)
	e.mu.Unlock()
	e.cache.dropVolume(id)
}

// Regrant ends the grants of a volume whose settings have changed: the next use of an object asks for a new one. It ends those
// that were made before; who asked for one earlier and gets it later keeps what he got.
func (e *Engine) Regrant(id causeway.VolumeID) { e.cache.dropVolume(id) }

// Close gives all grants back. No request may run any more.
func (e *Engine) Close() error {
	for id := range *e.volumes.Load() {
		e.Detach(id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	e.sendReturns(ctx) // what does not arrive ends by itself
	e.cache.close()
	return nil
}

// SyncFailed tells the Engine that unstable data of a volume may have been lost outside of its own syncs: the storage found
// out after the object was closed.
func (e *Engine) SyncFailed(id causeway.VolumeID) {
	if v := (*e.volumes.Load())[id]; v != nil {
		v.verifier.bump()
	}
}

// verifier is a volume's write verifier at this gateway's incarnation (RFC 1813 §3.3.7): random at the start, another one
// after every failed sync.
type verifier struct{ now atomic.Uint64 }

func newVerifier() *verifier {
	var b [8]byte
	rand.Read(b[:])
	v := new(verifier)
	v.now.Store(binary.BigEndian.Uint64(b[:]))
	return v
}

func (v *verifier) bump() { v.now.Add(1) }

func (v *verifier) get() (w causeway.Verifier) {
	binary.BigEndian.PutUint64(w[:], v.now.Load())
	return w
}

// checkSpan refuses ranges beyond what any file can have.
func checkSpan(off uint64, n int) error {
	if off > math.MaxInt64 || uint64(n) > math.MaxInt64-off {
		return causeway.ErrFBig
	}
	return nil
}
