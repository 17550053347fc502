package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/admin"
	"causeway/backend"
	"causeway/backend/posix"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/state"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/transfer"
	"causeway/internal/gate"
)

// volumes are the directories that are served. They can be replaced while the gateway runs.
type volumes struct {
	state    *state.Dir
	stateSub string // where a store keeps what it cannot keep in a read-only directory
	catalog  *gateway.Catalog
	access   *access.Engine
	transfer *transfer.Engine
	log      *slog.Logger
	holder   string // the gateway's name in its cluster; empty: it is alone
	meters   atomic.Pointer[map[causeway.VolumeID]*admin.Meter]
	gate     *gate.Gate // through which every request goes that may use a store

	mu      sync.Mutex
	served  []*served
	closing []*served // nobody finds them any more, but requests may still use them
	closers sync.WaitGroup
	failed  []error         // of closing
	ended   context.Context // no request runs any more
	end     context.CancelFunc
}

// volumeStore is what a volume lives in: a directory, or a share of another server.
type volumeStore interface {
	backend.Store
	VolumeID() causeway.VolumeID
	ReadOnly() bool
}

// served is one volume. It is immutable.
type served struct {
	spec   config.Volume // as it is served
	opened config.Modes  // as the store was opened
	meter  *admin.Meter
	store  volumeStore
	names  backend.Store // the same for names and attributes, in a cluster
	volume *causeway.Volume
	epoch  causeway.Epoch // in which it is administered here, in a cluster; zero: elsewhere
}

// apply makes these the volumes that are served. If it fails, nothing has changed. The notes say what could not be put into force.
func (v *volumes) apply(ctx context.Context, specs []config.Volume) (notes []string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := make([]*served, 0, len(specs))
	var opened []*served
	fail := func(err error) ([]string, error) {
		for _, s := range opened {
			err = errors.Join(err, s.store.Close())
		}
		return nil, err
	}
	for _, spec := range specs {
		s, note, err := v.serve(ctx, spec, len(specs))
		if err != nil {
			return fail(fmt.Errorf("volume %s: %w", spec.Name, err))
		}
		if note != "" {
			notes = append(notes, note)
		}
		if v.openedAs(s.spec.Path) == nil {
			opened = append(opened, s)
		}
		if i := slices.IndexFunc(next, func(o *served) bool { return o.volume.ID == s.volume.ID }); i >= 0 {
			return fail(fmt.Errorf("the volumes %s and %s are the same directory: %s and %s", next[i].spec.Name, spec.Name, next[i].spec.Path, spec.Path))
		}
		next = append(next, s)
	}
	return notes, v.publish(next)
}

// openedAs returns what is served from a directory, or nil.
func (v *volumes) openedAs(path string) *served {
	if i := slices.IndexFunc(v.served, func(o *served) bool { return o.spec.Path == path }); i >= 0 {
		return v.served[i]
	}
	return nil
}

// serve returns how a volume will be served: from the store that is open already, or from a new one.
func (v *volumes) serve(ctx context.Context, spec config.Volume, of int) (s *served, note string, err error) {
	s = &served{spec: spec, opened: spec.Modes, meter: &admin.Meter{}}
	old := v.openedAs(spec.Path)
	if old != nil {
		s.store, s.opened, s.meter = old.store, old.opened, old.meter
		note = s.keepOpened()
	} else if s.store, err = v.open(ctx, spec, of); err != nil {
		return nil, "", err
	}
	if err := v.name(s); err != nil {
		if old == nil {
			err = errors.Join(err, s.store.Close())
		}
		return nil, "", err
	}
	return s, note, nil
}

// keepOpened puts back what cannot change while the directory is open, and says so.
func (s *served) keepOpened() (note string) {
	now := &s.spec.Modes
	switch {
	case s.opened.Exclusive != now.Exclusive:
		note = "exclusive"
	case s.opened.ReadOnly && !now.ReadOnly:
		note = "the end of read-only"
	default:
		return ""
	}
	now.Exclusive, now.ReadOnly = s.opened.Exclusive, now.ReadOnly || s.opened.ReadOnly
	return fmt.Sprintf("volume %s: %s takes effect at the next start", s.spec.Name, note)
}

// name gives the volume of an open store its name, rules and keys.
func (v *volumes) name(s *served) error {
	id, spec := s.store.VolumeID(), &s.spec
	for _, o := range v.served {
		if o.volume.ID == id && o.spec.Path != spec.Path {
			return fmt.Errorf("%s is the directory that is open as %s; it can be served by its new path at the next start", spec.Path, o.spec.Path)
		}
	}
	record, err := v.state.Bind(id, spec.Name, spec.Path, time.Now())
	if err != nil {
		return err
	}
	s.volume = &causeway.Volume{
		ID: id, Name: spec.Name, Async: spec.Modes.Async, Exclusive: spec.Modes.Exclusive, ReadOnly: spec.Modes.ReadOnly || s.store.ReadOnly(),
		Exports: spec.Rules, Keys: record.HandleKeys(), SMB: spec.Share, Mandatory: spec.Share.Mandatory(),
	}
	return nil
}

func (v *volumes) open(ctx context.Context, spec config.Volume, of int) (volumeStore, error) {
	if slices.ContainsFunc(v.closing, func(o *served) bool { return o.spec.Path == spec.Path }) {
		return nil, errors.New("it was served before, and is not closed yet because requests still use it; try again later")
	}
	if spec.IsShare() {
		password, err := readPasswordFile(spec.PasswordFile)
		if err != nil {
			return nil, err
		}
		return v.openShare(ctx, spec, password)
	}
	var id causeway.VolumeID // set before the store can fail to sync: nothing writes before it is attached
	store, err := posix.Open(ctx, spec.Path, posix.Config{
		StateDir:       v.stateSub,
		MaxDescriptors: descriptors(of),
		Holder:         v.holder,
		Exclusive:      spec.Modes.Exclusive,
		ReadOnly:       spec.Modes.ReadOnly,
		OnSyncError:    func(causeway.ObjectID, error) { v.transfer.SyncFailed(id) },
		Logger:         v.log,
	})
	if err != nil {
		return nil, err
	}
	id = store.VolumeID()
	return store, nil
}

// publish attaches what is new, shows the whole to clients, and then takes leave of what is not served any more.
func (v *volumes) publish(next []*served) error {
	list := make([]*causeway.Volume, len(next))
	meters := make(map[causeway.VolumeID]*admin.Meter, len(next))
	for i, s := range next {
		list[i], meters[s.volume.ID] = s.volume, s.meter
		v.access.Attach(s.volume, s.store)
		v.transfer.Attach(s.volume.ID, s.store)
	}
	v.meters.Store(&meters)
	if err := v.catalog.Publish(list); err != nil {
		return err // cannot be: names and ids were checked
	}
	last := v.served
	v.served = next
	v.leave(slices.DeleteFunc(slices.Clone(last), func(o *served) bool { return v.openedAs(o.spec.Path) != nil }))
	v.regrant(last)
	return nil
}

// leave closes volumes when no request uses them any more.
func (v *volumes) leave(gone []*served) {
	if len(gone) == 0 {
		return
	}
	for _, s := range gone {
		v.access.Detach(s.volume.ID)
		v.transfer.Detach(s.volume.ID)
	}
	v.closing = append(v.closing, gone...)
	v.closers.Go(func() {
		_ = v.gate.Wait(v.ended) // an error: the gateway ends, and has waited for requests as long as it does
		for _, s := range gone {
			v.transfer.Detach(s.volume.ID) // what was opened while it went
			err := s.store.Close()
			if err != nil {
				err = fmt.Errorf("volume %s: %w", s.spec.Name, err)
				v.log.Error("not closed well; unstable writes may be lost", "volume", s.spec.Name, "err", err)
				v.mu.Lock()
				v.failed = append(v.failed, err)
				v.mu.Unlock()
			}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.closing = slices.DeleteFunc(v.closing, func(o *served) bool { return slices.Contains(gone, o) })
	})
}

// regrant ends the grants of volumes that can be written again: their objects may be open for reading only.
func (v *volumes) regrant(last []*served) {
	var changed []causeway.VolumeID
	for _, o := range last {
		if s := v.openedAs(o.spec.Path); s != nil && o.volume.ReadOnly && !s.volume.ReadOnly {
			changed = append(changed, o.volume.ID)
		}
	}
	if len(changed) == 0 {
		return
	}
	v.closers.Go(func() {
		_ = v.gate.Wait(v.ended) // for those who ask for a grant of before
		for _, id := range changed {
			v.transfer.Regrant(id)
		}
	})
	for _, id := range changed {
		v.transfer.Regrant(id)
	}
}

// close ends all volumes. No request may run any more.
func (v *volumes) close() error {
	v.end()
	v.mu.Lock()
	gone := v.served
	v.served = nil
	err := v.catalog.Publish(nil)
	v.leave(gone)
	v.mu.Unlock()
	v.closers.Wait()
	return errors.Join(append(v.failed, err)...)
}

// observe counts a call for a volume.
func (v *volumes) observe(id causeway.VolumeID, in, out int) {
	if m := (*v.meters.Load())[id]; m != nil {
		m.Observe(in, out)
	}
}

// list returns the volumes that are served now.
func (v *volumes) list() []*served {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.served
}
