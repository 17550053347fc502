package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"causeway"
	"causeway/admin"
	"causeway/backend/posix"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
)

// clusterVolumes are the volumes that this gateway administers for its cluster. The catalog is the cluster's.
type clusterVolumes struct{ *volumes }

var _ member.Volumes = clusterVolumes{}

// maxOpenVolumes is for how many volumes descriptors are set aside.
const maxOpenVolumes = 16

// Identify opens a backend, which makes it a volume, and closes it.
func (v clusterVolumes) Identify(ctx context.Context, backend string) (causeway.VolumeID, error) {
	dir, err := member.Place(backend)
	if err != nil {
		return 0, err
	}
	if err := apart(v.state.Path(), []config.Volume{{Name: dir, Path: dir}}); err != nil {
		return 0, err
	}
	store, err := posix.Open(ctx, dir, posix.Config{MaxDescriptors: posix.MinDescriptors, Holder: v.holder, Logger: v.log})
	if err != nil {
		return 0, err
	}
	if err := store.SafeInCluster(); err != nil {
		return 0, errors.Join(fmt.Errorf("%s: %w", dir, err), store.Close())
	}
	return store.VolumeID(), store.Close()
}

// Acquire opens a volume and administers it.
func (v clusterVolumes) Acquire(ctx context.Context, vol *causeway.Volume, backend string) error {
	dir, err := member.Place(backend)
	if err != nil {
		return err
	}
	if err := apart(v.state.Path(), []config.Volume{{Name: vol.Name, Path: dir}}); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.openedAs(dir) != nil {
		return fmt.Errorf("%s is open already", dir)
	}
	s := &served{spec: config.Volume{Name: vol.Name, Path: dir, Modes: config.Modes{Exclusive: vol.Exclusive}}, meter: &admin.Meter{}, volume: vol}
	if s.store, err = v.open(ctx, s.spec, maxOpenVolumes); err != nil {
		return err
	}
	if id := s.store.VolumeID(); id != vol.ID {
		return errors.Join(fmt.Errorf("%s is the volume %v, not %v: another file system is mounted there", dir, id, vol.ID), s.store.Close())
	}
	v.access.Attach(vol, s.store)
	v.transfer.Attach(vol.ID, s.store)
	v.keep(append(slices.Clone(v.served), s))
	return nil
}

// keep replaces what is served.
func (v clusterVolumes) keep(next []*served) {
	meters := make(map[causeway.VolumeID]*admin.Meter, len(next))
	for _, s := range next {
		meters[s.volume.ID] = s.meter
	}
	v.served = next
	v.meters.Store(&meters)
}

// Release closes a volume, if it is open.
func (v clusterVolumes) Release(_ context.Context, id causeway.VolumeID) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := slices.IndexFunc(v.served, func(s *served) bool { return s.volume.ID == id })
	if at < 0 {
		return nil
	}
	s := v.served[at]
	v.access.Detach(id)
	v.transfer.Detach(id)
	v.keep(slices.Delete(slices.Clone(v.served), at, at+1))
	if err := s.store.Close(); err != nil {
		v.log.Error("not closed well; clients send unstable writes again", "volume", s.volume.Name, "err", err)
	}
	return nil
}

// Update gives new settings to what is open.
func (v clusterVolumes) Update(vs []*causeway.Volume) {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := slices.Clone(v.served)
	for i, s := range next {
		at := slices.IndexFunc(vs, func(o *causeway.Volume) bool { return o.ID == s.volume.ID })
		if at < 0 {
			continue // it is about to be released
		}
		changed, reopen := *s, s.volume.ReadOnly != vs[at].ReadOnly
		changed.volume = vs[at]
		v.access.Attach(vs[at], s.store)
		if next[i] = &changed; reopen {
			v.transfer.Regrant(vs[at].ID)
		}
	}
	v.keep(next)
}
