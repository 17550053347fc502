package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/admin"
	"causeway/backend/posix"
	"causeway/backend/smb"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
)

// clusterVolumes are the volumes of the cluster whose storage this gateway has open: those that it administers, and all others that it
// reaches. The catalog is the cluster's.
type clusterVolumes struct {
	*volumes
	near    atomic.Pointer[map[causeway.VolumeID]bool] // open; true: names and attributes may be read here
	opening sync.Map                                   // causeway.VolumeID → *attempt
	tries   sync.WaitGroup
	doubt   func(causeway.VolumeID, error) error                              // what clients are told of errors of names and attributes; nil: the error
	dead    []volumeStore                                                     // that others took the place of
	prove   func(ctx context.Context, id causeway.VolumeID, dir string) error // that it is the same everywhere; nil: who acquires it has
}

var _ member.Volumes = (*clusterVolumes)(nil)

// attempt is an opening that is under way.
type attempt struct {
	done chan struct{}
	err  error // when done
}

func newClusterVolumes(v *volumes) *clusterVolumes {
	c := &clusterVolumes{volumes: v}
	c.near.Store(&map[causeway.VolumeID]bool{})
	return c
}

// Identify opens a backend, which makes it a volume, and closes it.
func (v *clusterVolumes) Identify(ctx context.Context, at member.Storage) (causeway.VolumeID, error) {
	if at.IsShare() {
		store, err := v.openShare(ctx, config.Volume{Path: at.Backend}, at.Password)
		if err != nil {
			return 0, err
		}
		return store.VolumeID(), store.Close()
	}
	dir, err := v.place(at.Backend)
	if err != nil {
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

// place returns the directory of a backend, unless it is this gateway's own.
func (v *clusterVolumes) place(backend string) (string, error) {
	dir, err := member.Place(backend)
	if err != nil {
		return "", err
	}
	return dir, apart(v.state.Path(), []config.Volume{{Name: dir, Path: dir}})
}

// Open implements member.Volumes.
func (v *clusterVolumes) Open(id causeway.VolumeID) bool { _, ok := (*v.near.Load())[id]; return ok }

// Near implements member.Volumes.
func (v *clusterVolumes) Near(id causeway.VolumeID) bool { return (*v.near.Load())[id] }

// Acquire opens a volume, and administers it from now on.
func (v *clusterVolumes) Acquire(ctx context.Context, vol *causeway.Volume, at member.Storage, e causeway.Epoch) error {
	if err := v.ensure(ctx, member.Published{Volume: vol, Storage: at}, true); err != nil {
		return err
	}
	v.own(vol.ID, e)
	return nil
}

// own says in which epoch this gateway administers a volume that is open; zero: another one does.
func (v *clusterVolumes) own(id causeway.VolumeID, e causeway.Epoch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := slices.Clone(v.served)
	for i, s := range next {
		if s.volume.ID == id && s.epoch != e {
			changed := *s
			changed.epoch = e
			next[i] = &changed
			v.access.AttachAt(s.volume, s.names, e)
		}
	}
	v.keep(next)
}

// Release closes a volume that cannot be open at two gateways. Any other one stays open for the data of this gateway's clients.
func (v *clusterVolumes) Release(_ context.Context, id causeway.VolumeID) error {
	v.own(id, causeway.Epoch{})
	v.mu.Lock()
	defer v.mu.Unlock()
	at := slices.IndexFunc(v.served, func(s *served) bool { return s.volume.ID == id })
	if at < 0 || shareable(v.served[at].store) {
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

// shareable reports whether several gateways may have the store open at once.
func shareable(s volumeStore) bool {
	dir, ok := s.(*posix.Store)
	return ok && dir.Shareable() == nil
}

// ensure opens a volume unless it is open. Of several who ask, one does it.
func (v *clusterVolumes) ensure(ctx context.Context, p member.Published, owner bool) error {
	mine := &attempt{done: make(chan struct{})}
	for !v.Open(p.ID) {
		other, busy := v.opening.LoadOrStore(p.ID, mine)
		if !busy {
			mine.err = v.openOne(ctx, p, owner)
			v.opening.Delete(p.ID)
			close(mine.done)
			return mine.err
		}
		select {
		case <-other.(*attempt).done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (v *clusterVolumes) openOne(ctx context.Context, p member.Published, owner bool) error {
	if p.IsShare() {
		return v.useShare(ctx, p, owner)
	}
	dir, err := v.place(p.Backend)
	if err != nil {
		return err
	}
	// In a cluster, an exclusive volume is exclusive to all of its gateways: leases say what one of them may keep in memory.
	s := &served{spec: config.Volume{Name: p.Name, Path: dir}, meter: &admin.Meter{}, volume: p.Volume}
	store, err := v.openVolume(ctx, s.spec, p.ID)
	if err != nil {
		return err
	}
	s.store, s.names = store, v.namesOf(p.ID, store)
	if !owner && !shareable(store) {
		return errors.Join(errElsewhere, s.store.Close())
	}
	if !owner && v.prove != nil {
		if err := v.prove(ctx, p.ID, dir); err != nil {
			return errors.Join(err, s.store.Close())
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.access.Attach(p.Volume, s.names)
	v.transfer.Attach(p.ID, s.store)
	v.keep(append(slices.Clone(v.served), s))
	return nil
}

// useShare is openOne of a share of another server. What one gateway changes there others would see a second late, so one alone uses it.
func (v *clusterVolumes) useShare(ctx context.Context, p member.Published, owner bool) error {
	if !owner {
		return errElsewhere
	}
	s := &served{spec: config.Volume{Name: p.Name, Path: p.Backend, UID: p.UID, GID: p.GID}, meter: &admin.Meter{}, volume: p.Volume}
	store, err := v.openShare(ctx, s.spec, p.Password)
	if err != nil {
		return fmt.Errorf("volume %s: %w", p.Name, err)
	}
	if store.VolumeID() != p.ID {
		return errors.Join(fmt.Errorf("volume %s: %s is another volume", p.Name, p.Backend), store.Close())
	}
	s.store, s.names = store, store
	v.mu.Lock()
	defer v.mu.Unlock()
	v.access.Attach(p.Volume, s.names)
	v.transfer.Attach(p.ID, s.store)
	v.keep(append(slices.Clone(v.served), s))
	return nil
}

// errElsewhere says that a volume's storage is open at the gateway that administers it, and nowhere else.
var errElsewhere = errors.New("the file system does not let several gateways open the volume at once")

// keep replaces what is served. The volumes share the descriptors that there are.
func (v *clusterVolumes) keep(next []*served) {
	meters := make(map[causeway.VolumeID]*admin.Meter, len(next))
	near := make(map[causeway.VolumeID]bool, len(next))
	for _, s := range next {
		meters[s.volume.ID] = s.meter
		near[s.volume.ID] = false
		if dir, ok := s.store.(*posix.Store); ok {
			near[s.volume.ID] = dir.Coherent() && !s.volume.Exclusive
			dir.SetMaxDescriptors(descriptors(len(next)))
		}
	}
	v.served = next
	v.meters.Store(&meters)
	v.near.Store(&near)
}

// tryAgain is when a volume that could not be opened is tried again.
const tryAgain = 5 * time.Second

// Update makes these the volumes of the cluster: those that are open get their settings, new ones are opened, those that are gone closed.
func (v *clusterVolumes) Update(ctx context.Context, list []member.Published) {
	v.mu.Lock()
	next := make([]*served, 0, len(v.served))
	var gone []*served
	for _, s := range v.served {
		at := slices.IndexFunc(list, func(p member.Published) bool { return p.ID == s.volume.ID })
		if at < 0 {
			gone = append(gone, s)
			continue
		}
		if share, ok := s.store.(*smb.Store); ok {
			share.SetPassword(list[at].Password)
		}
		if reflect.DeepEqual(s.volume, list[at].Volume) {
			next = append(next, s)
			continue
		}
		changed, regrant := *s, s.volume.ReadOnly != list[at].ReadOnly
		changed.volume = list[at].Volume
		v.access.AttachAt(list[at].Volume, s.names, s.epoch)
		if regrant {
			v.transfer.Regrant(list[at].ID)
		}
		next = append(next, &changed)
	}
	v.keep(next)
	v.leave(gone)
	v.mu.Unlock()
	for _, p := range list {
		if !v.Open(p.ID) && !p.IsShare() {
			v.tryLater(ctx, p)
		}
	}
}

// tryLater opens a volume in the background, unless that is being done.
func (v *clusterVolumes) tryLater(ctx context.Context, p member.Published) {
	if _, busy := v.opening.Load(p.ID); busy {
		return
	}
	v.tries.Go(func() {
		once, cancel := context.WithTimeout(ctx, tryAgain)
		defer cancel()
		if err := v.ensure(once, p, false); err != nil && ctx.Err() == nil {
			v.log.Debug("the bytes of a volume are moved by its administrator, not here", "volume", p.Name, "err", err)
		}
	})
}

// openVolume opens the store of a volume that there is.
func (v *clusterVolumes) openVolume(ctx context.Context, spec config.Volume, id causeway.VolumeID) (*posix.Store, error) {
	store, err := posix.Open(ctx, spec.Path, posix.Config{
		StateDir: v.stateSub, Holder: v.holder, MaxDescriptors: descriptors(1), Volume: id,
		OnSyncError: func(causeway.ObjectID, error) { v.transfer.SyncFailed(id) }, Logger: v.log,
	})
	if err != nil {
		return nil, fmt.Errorf("volume %s: %w", spec.Name, err)
	}
	return store, nil
}
