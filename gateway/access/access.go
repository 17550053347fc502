// Package access is the access part: names, rights, locks and grants of the volumes that this gateway administers. It runs
// where the volume is administered, decides every right by causeway.Permit, and reports honest attributes around every
// change. It moves no bytes (transfer does) and knows no protocol.
package access

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/internal/overlap"
	"causeway/lockmgr"
	"causeway/lockmgr/notify"
)

// Config is what an Engine is made of.
type Config struct {
	// Locks holds the byte-range locks. nil: a manager of its own, without clients from before.
	Locks *lockmgr.Manager
	// Holder is told when a grant has to end. It may be nil.
	Holder gateway.Holder
}

// Engine implements gateway.Access for the volumes attached to it.
type Engine struct {
	*locker
	holder  gateway.Holder
	changes overlap.Table
	opening openings
	notices *notify.Table
	watches watches
	sticky  stickies
	seq     atomic.Uint64 // of grants

	mu      sync.Mutex // serialises Attach and Detach
	volumes atomic.Pointer[map[causeway.VolumeID]*volume]
}

// volume is an attached volume: the storage and the settings that matter here. It is immutable.
type volume struct {
	*causeway.Volume
	store backend.Store
}

var (
	_ gateway.Access   = (*Engine)(nil)
	_ gateway.Stateful = (*Engine)(nil)
)

// New returns an Engine without volumes.
func New(cfg Config) *Engine {
	e := &Engine{holder: cfg.Holder}
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

// Attach makes the Engine administer a volume, or gives it new settings.
func (e *Engine) Attach(v *causeway.Volume, s backend.Store) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(*e.volumes.Load())
	next[v.ID] = &volume{v, s}
	e.volumes.Store(&next)
}

// Detach ends the administration of a volume: later requests for it fail with ErrStale.
func (e *Engine) Detach(id causeway.VolumeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(*e.volumes.Load())
	delete(next, id)
	e.volumes.Store(&next)
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
	return v, attr, err
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
