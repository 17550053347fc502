package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/backend/posix"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/state"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/transfer"
)

// volumes are the directories that are served. They can be replaced while the gateway runs.
type volumes struct {
	state    *state.Dir
	stateSub string // where a store keeps what it cannot keep in a read-only directory
	catalog  *gateway.Catalog
	access   *access.Engine
	transfer *transfer.Engine
	log      *slog.Logger

	mu     sync.Mutex
	served []*served
}

// served is one volume. It is immutable.
type served struct {
	spec   config.Volume // as it was opened
	store  *posix.Store
	volume *causeway.Volume
}

// apply makes these the volumes that are served. If it fails, nothing has changed.
func (v *volumes) apply(ctx context.Context, specs []config.Volume) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := make([]*served, 0, len(specs))
	var opened []*served
	fail := func(err error) error {
		for _, s := range opened {
			err = errors.Join(err, s.store.Close())
		}
		return err
	}
	for _, spec := range specs {
		s, isNew, err := v.serve(ctx, spec, len(specs))
		if err != nil {
			return fail(fmt.Errorf("volume %s: %w", spec.Name, err))
		}
		if isNew {
			opened = append(opened, s)
		}
		if i := slices.IndexFunc(next, func(o *served) bool { return o.volume.ID == s.volume.ID }); i >= 0 {
			return fail(fmt.Errorf("the volumes %s and %s are the same directory: %s and %s", next[i].spec.Name, spec.Name, next[i].spec.Path, spec.Path))
		}
		next = append(next, s)
	}
	return v.publish(next)
}

// serve returns how a volume will be served: from the store that is open already, or from a new one.
func (v *volumes) serve(ctx context.Context, spec config.Volume, of int) (s *served, isNew bool, err error) {
	s = &served{spec: spec}
	if i := slices.IndexFunc(v.served, func(o *served) bool { return o.spec.Path == spec.Path }); i >= 0 {
		s.store = v.served[i].store
		v.warnOfOpened(v.served[i].spec.Modes, &s.spec)
	} else if s.store, err = v.open(ctx, spec, of); err != nil {
		return nil, false, err
	} else {
		isNew = true
	}
	record, err := v.state.Bind(s.store.VolumeID(), spec.Name, spec.Path, time.Now())
	if err != nil {
		if isNew {
			err = errors.Join(err, s.store.Close())
		}
		return nil, false, err
	}
	m := s.spec.Modes
	s.volume = &causeway.Volume{
		ID: s.store.VolumeID(), Name: spec.Name, Async: m.Async, Exclusive: m.Exclusive, ReadOnly: m.ReadOnly || s.store.ReadOnly(),
		Exports: spec.Rules, Keys: record.HandleKeys(),
	}
	return s, isNew, nil
}

// warnOfOpened puts back what cannot change while the directory is open.
func (v *volumes) warnOfOpened(was config.Modes, now *config.Volume) {
	if was.Exclusive != now.Modes.Exclusive || was.ReadOnly && !now.Modes.ReadOnly {
		v.log.Warn("exclusive, and the end of read-only, take effect at the next start", "volume", now.Name)
		now.Modes.Exclusive, now.Modes.ReadOnly = was.Exclusive, was.ReadOnly
	}
}

func (v *volumes) open(ctx context.Context, spec config.Volume, of int) (*posix.Store, error) {
	var id causeway.VolumeID // set before the store can fail to sync: nothing writes before it is attached
	store, err := posix.Open(ctx, spec.Path, posix.Config{
		StateDir:       v.stateSub,
		MaxDescriptors: descriptors(of),
		Exclusive:      spec.Modes.Exclusive,
		ReadOnly:       spec.Modes.ReadOnly,
		OnSyncError:    func(causeway.ObjectID, error) { v.transfer.SyncFailed(id) },
		Logger:         v.log,
	})
	if err == nil {
		id = store.VolumeID()
	}
	return store, err
}

// publish attaches what is new, shows the whole to clients, and then takes leave of what is not served any more.
func (v *volumes) publish(next []*served) error {
	list := make([]*causeway.Volume, len(next))
	for i, s := range next {
		list[i] = s.volume
		v.access.Attach(s.volume, s.store)
		v.transfer.Attach(s.volume.ID, s.store)
	}
	if err := v.catalog.Publish(list); err != nil {
		return err // cannot be: names and ids were checked
	}
	gone := slices.DeleteFunc(slices.Clone(v.served), func(o *served) bool {
		return slices.ContainsFunc(next, func(s *served) bool { return s.store == o.store })
	})
	v.served = next
	return v.leave(gone)
}

// leave closes volumes.
func (v *volumes) leave(gone []*served) error {
	var all error
	for _, s := range gone {
		v.access.Detach(s.volume.ID)
		v.transfer.Detach(s.volume.ID)
		if err := s.store.Close(); err != nil {
			all = errors.Join(all, fmt.Errorf("volume %s: %w", s.spec.Name, err))
		}
	}
	return all
}

// close ends all volumes. No request may run any more.
func (v *volumes) close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	gone := v.served
	v.served = nil
	return errors.Join(v.catalog.Publish(nil), v.leave(gone))
}

// list returns the volumes that are served now.
func (v *volumes) list() []*served {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.served
}
