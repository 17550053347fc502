// Package access is the access part: names, rights, locks and grants of the volumes that this gateway administers. It runs
// where the volume is administered, decides every right by causeway.Permit, and reports honest attributes around every
// change. It moves no bytes (transfer does) and knows no protocol.
package access

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/gateway/spelling"
	"causeway/internal/boottime"
	"causeway/internal/overlap"
	"causeway/lockmgr"
	"causeway/lockmgr/notify"
)

// Config is what an Engine is made of.
type Config struct {
	// Locks holds the byte-range locks. nil: a manager of its own, without clients from before.
	Locks *lockmgr.Manager
	// Holder is told when a grant of this gateway has to end. It may be nil.
	Holder gateway.Holder

	// Node is this gateway's name. What it asks for is Local, whether under its name or under none.
	Node string
	// Holders reaches the other gateways' holders. nil: there are no others, and no record of grants is kept.
	Holders gateway.Holders
	// Lease is how long grants of other gateways last; default 3 s.
	Lease time.Duration
	// MaxGrants is how many of them there are per volume, beyond which those unused for longest are recalled; default 1 << 18.
	MaxGrants int
	// Quiet is for how long nothing of an object is leased after it changed, so that what many change is not recalled for each
	// change; default 100 ms.
	Quiet time.Duration
	// Granted returns what a descriptor that is kept with an object (causeway.DescriptorXattr) gives a caller of SMB; false if it says
	// nothing that can be understood. nil: descriptors are kept, and mode and access list decide for everybody.
	Granted func(descriptor []byte, cred *causeway.Cred, a *causeway.Attr) (causeway.AccessMask, bool)
	// Fold returns what is equal for names that mean the same in volumes whose names have no case. nil: no volume is one of those.
	Fold func(name string) string
	// Alive reports whether this gateway may change anything at a time of Now, and Life counts how often it might not meanwhile. A change
	// that had to wait asks before it is made: others may own the volume by then. Both nil: always.
	Alive func(now time.Duration) bool
	Life  func() uint64
	// Now is a time that goes on while the process is stopped; default boottime.Now.
	Now func() time.Duration
}

// Engine implements gateway.Access for the volumes attached to it.
type Engine struct {
	*locker
	cfg       Config
	changes   overlap.Table
	opening   openings
	notices   *notify.Table
	watches   watches
	nameless  nameless
	sticky    stickies
	spellings spelling.Cache // of volumes whose names have no case
	listings  chan struct{}  // one for each directory that is listed for them
	running   sync.WaitGroup // recalls

	asserting sync.Map // causeway.VolumeID → true: what clients held of it under its last owner is being taken over

	mu      sync.Mutex // serialises Attach and Detach
	volumes atomic.Pointer[map[causeway.VolumeID]*volume]
}

// volume is an attached volume: the storage and the settings that matter here. It is immutable.
type volume struct {
	*causeway.Volume
	store     backend.Store
	epoch     causeway.Epoch
	grants    *holdings      // nil: there are no other gateways
	mapper    backend.Mapper // nil: a file system below owns the blocks
	remembers bool           // the store can be told to forget what it remembers, and knows all once it reads anew
}

var (
	_ gateway.Access   = (*Engine)(nil)
	_ gateway.Stateful = (*Engine)(nil)
)

// New returns an Engine without volumes.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = boottime.Now
	}
	e := &Engine{cfg: cfg, listings: make(chan struct{}, maxListings)}
	e.locker = newLocker(cfg.Locks, func(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
		_, attr, err := e.statFor(ctx, c, h)
		return attr, err
	})
	e.volumes.Store(&map[causeway.VolumeID]*volume{})
	e.notices = notify.New(notify.Limits{})
	e.locks.OnRemove(e.removeDoomed)
	e.locks.OnGuarded(e.recallForGuard)
	return e
}

// Wait waits for recalls that are under way, for as long as a lease at most, and for what watchers are still to be told.
func (e *Engine) Wait() { e.running.Wait() }

// Attach makes the Engine administer a volume, or gives it new settings, in the only ownership that there is.
func (e *Engine) Attach(v *causeway.Volume, s backend.Store) { e.AttachAt(v, s, causeway.Epoch{}) }

// AttachAt makes the Engine administer a volume at an epoch, or gives it new settings. With another epoch or storage nothing
// is held of it any more; with other settings what is held is recalled, and nothing is given of the new ones before that is
// done: the call takes as long as a lease then.
func (e *Engine) AttachAt(v *causeway.Volume, s backend.Store, epoch causeway.Epoch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := (*e.volumes.Load())[v.ID]
	mapper, _ := s.(backend.Mapper)
	if mapper != nil && epoch != (causeway.Epoch{}) { // what still runs of an earlier epoch must not reach the map of this one
		s = mapper.During(epoch)
		mapper, _ = s.(backend.Mapper)
	}
	if last != nil && last.epoch != epoch { // who watched was told by the gateways of an earlier ownership, and is told anew
		e.unwatch(v.ID)
	}
	_, remembers := s.(backend.Forgetter)
	if mapper != nil && !v.Exclusive { // nobody else can change it
		alone := *v
		alone.Exclusive = true
		v = &alone
	}
	next := &volume{Volume: v, store: s, epoch: epoch, mapper: mapper, remembers: remembers}
	switch {
	case e.cfg.Holders == nil:
	case last != nil && last.epoch == epoch && last.store == s && last.Exclusive == v.Exclusive:
		next.grants = last.grants
		e.publish(v.ID, next)
		next.grants.endAll()
		return
	default:
		next.grants = e.newHoldings(v, s, epoch)
		if last != nil && last.epoch == epoch {
			last.grants.endAll()
			next.grants.follow(last.grants)
		}
		forget(s, causeway.Handle{}) // others may have owned it meanwhile
	}
	e.publish(v.ID, next)
}

func (e *Engine) publish(id causeway.VolumeID, v *volume) {
	next := maps.Clone(*e.volumes.Load())
	if next[id] = v; v == nil {
		delete(next, id)
	}
	e.volumes.Store(&next)
}

// Detach ends the administration of a volume: later requests for it fail with ErrStale.
func (e *Engine) Detach(id causeway.VolumeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.publish(id, nil)
	e.unwatch(id)
}

func (e *Engine) volume(id causeway.VolumeID) (*volume, error) {
	if v := (*e.volumes.Load())[id]; v != nil {
		return v, nil
	}
	return nil, causeway.ErrStale
}

// stat finds the volume of h and h's attributes.
func (e *Engine) stat(ctx context.Context, h causeway.Handle) (*volume, causeway.Attr, error) {
	v, err := e.volume(h.Volume)
	if err != nil {
		return nil, causeway.Attr{}, err
	}
	attr, err := v.store.Stat(ctx, h.Object)
	if err == nil && v.shared() {
		err = e.fresh(ctx, v, h, &attr)
	}
	if err == nil {
		err = named(&attr)
	}
	return v, attr, err
}

// named returns ErrStale for a file whose last name is gone, though somebody has it open still.
func named(a *causeway.Attr) error {
	if a.Nlink == 0 && a.Type == causeway.TypeRegular {
		return causeway.ErrStale
	}
	return nil
}

// statFor is stat with all that the caller's rights depend on.
func (e *Engine) statFor(ctx context.Context, c *gateway.Caller, h causeway.Handle) (*volume, causeway.Attr, error) {
	v, attr, err := e.stat(ctx, h)
	if err == nil {
		err = backend.LoadACL(ctx, v.store, h.Object, &c.Cred, &attr)
	}
	return v, attr, err
}

// mayChange refuses changes that no right can allow, and those that would wait when the caller cannot.
func (v *volume) mayChange(c *gateway.Caller) error {
	switch {
	case c.ReadOnly || v.ReadOnly:
		return causeway.ErrROFS
	case c.NoWait && !v.Async && c.Later == nil:
		return causeway.ErrWouldBlock // for Persist, below every change
	}
	return nil
}

// persist makes changes stable, unless the volume acknowledges them before, or the caller waits for it himself.
func (v *volume) persist(ctx context.Context, c *gateway.Caller, ids ...causeway.ObjectID) error {
	switch {
	case v.Async:
		return nil
	case c.Later != nil:
		c.Later.Volume = v.ID
		copy(c.Later.Objects[:], ids)
		return nil
	}
	return v.store.Persist(ctx, ids...)
}

// Persist implements gateway.Persister.
func (e *Engine) Persist(ctx context.Context, id causeway.VolumeID, ids ...causeway.ObjectID) error {
	v, err := e.volume(id)
	if err != nil {
		return err
	}
	return v.store.Persist(ctx, ids...)
}

// require returns ErrAccess unless the caller has all of the wanted rights.
func require(c *gateway.Caller, a *causeway.Attr, want causeway.Rights) error {
	if causeway.Permit(&c.Cred, a, want) != want {
		return causeway.ErrAccess
	}
	return nil
}

// requireDir is require for a directory; ErrNotDir for anything else.
func requireDir(c *gateway.Caller, a *causeway.Attr, want causeway.Rights) error {
	if a.Type != causeway.TypeDirectory {
		return causeway.ErrNotDir
	}
	return require(c, a, want)
}
