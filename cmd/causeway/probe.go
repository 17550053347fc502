package main

import (
	"context"
	"errors"
	"slices"

	"causeway"
	"causeway/backend"
	"causeway/backend/posix"
)

// prober is a store that can be asked whether its storage answers.
type prober interface{ Probe(context.Context) error }

// Probe implements member.Volumes. Storage that was mounted anew is opened anew, unless this gateway administers the volume: what is open
// leads to what was there before.
func (v *clusterVolumes) Probe(ctx context.Context, id causeway.VolumeID) error {
	s := v.find(id)
	if s == nil {
		return nil // it is not open, and asked for as such
	}
	err := probe(ctx, s.store)
	if err != nil && s.epoch == (causeway.Epoch{}) && shareable(s.store) {
		if again := v.reopen(ctx, s); again != nil {
			return errors.Join(err, again)
		}
		return nil
	}
	return err
}

func probe(ctx context.Context, s volumeStore) error {
	if p, ok := s.(prober); ok {
		return p.Probe(ctx)
	}
	_, err := s.Stat(ctx, s.Root())
	return err
}

func (v *clusterVolumes) namesOf(id causeway.VolumeID, s *posix.Store) backend.Store {
	return &namesStore{s, id, v.doubt}
}

func (v *clusterVolumes) find(id causeway.VolumeID) *served {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.IndexFunc(v.served, func(s *served) bool { return s.volume.ID == id }); i >= 0 {
		return v.served[i]
	}
	return nil
}

// reopen puts what is found in the volume's directory now in the place of what is dead, if it is the volume of the other gateways. The dead
// one stays open until the gateway ends: nobody knows what still waits for it.
func (v *clusterVolumes) reopen(ctx context.Context, old *served) error {
	store, err := v.openVolume(ctx, old.spec, old.volume.ID)
	if err != nil {
		return err
	}
	if err = probe(ctx, store); err == nil && v.prove != nil {
		err = v.prove(ctx, old.volume.ID, old.spec.Path)
	}
	if err != nil {
		return errors.Join(err, store.Close())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	at := slices.Index(v.served, old)
	if at < 0 || store.Shareable() != nil {
		return errors.Join(causeway.ErrDelay, store.Close()) // it has changed meanwhile
	}
	changed := *old
	changed.store, changed.names = store, v.namesOf(old.volume.ID, store)
	v.transfer.Detach(old.volume.ID)
	v.access.Attach(old.volume, changed.names)
	v.transfer.Attach(old.volume.ID, store)
	next := slices.Clone(v.served)
	next[at] = &changed
	v.keep(next)
	v.dead = append(v.dead, old.store)
	return nil
}

// closeDead closes what reopen has left. No request runs any more.
func (v *clusterVolumes) closeDead() (err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.dead {
		err = errors.Join(err, s.Close())
	}
	v.dead = nil
	return err
}

var _ prober = (*posix.Store)(nil)
