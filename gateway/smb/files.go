package smb

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// files is what this server knows of its own opens: who hears of an event, and which names are in use. Share modes, leases and
// deletions are the engines' affair, for all gateways and protocols.
type files struct {
	mu       sync.Mutex
	byHandle map[causeway.Handle][]*open
	byID     map[causeway.OpenID]*open
	leases   map[causeway.LeaseID][]*open
	states   map[causeway.LeaseID]gateway.LeaseState // as their clients know them
	byGUID   map[createKey]*open                     // whose CREATE may be repeated
	creating map[createKey]bool                      // that are at work
	kept     map[uint64]*keptOpen                    // whose connection has ended, by persistent id
	swept    time.Time                               // when kept was looked through
	early    map[causeway.OpenID]*gateway.Break      // breaks of opens that are not known yet
	opening  atomic.Int64                            // requests that may make an open
}

func (f *files) init() {
	f.byHandle, f.byID = map[causeway.Handle][]*open{}, map[causeway.OpenID]*open{}
	f.leases = map[causeway.LeaseID][]*open{}
	f.states, f.creating = map[causeway.LeaseID]gateway.LeaseState{}, map[createKey]bool{}
	f.byGUID, f.kept, f.early = map[createKey]*open{}, map[uint64]*keptOpen{}, map[causeway.OpenID]*gateway.Break{}
}

func (f *files) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.byID)
}

// accessShared are the rights that share modes are about: an open with none of them conflicts with nothing ([MS-FSA] 2.1.5.1.2).
const (
	accessReads   = wire.AccessReadData | wire.AccessExecute
	accessWrites  = wire.AccessWriteData | wire.AccessAppendData
	accessDeletes = wire.AccessDelete
	accessShared  = accessReads | accessWrites | accessDeletes
)

// conflicts reports whether an open with one access and share mode can be beside another.
func conflicts(access, share, otherAccess, otherShare uint32) bool {
	if access&accessShared == 0 || otherAccess&accessShared == 0 {
		return false
	}
	denied := func(access, share uint32) bool {
		return access&accessReads != 0 && share&wire.ShareRead == 0 ||
			access&accessWrites != 0 && share&wire.ShareWrite == 0 ||
			access&accessDeletes != 0 && share&wire.ShareDelete == 0
	}
	return denied(access, otherShare) || denied(otherAccess, share)
}

func (f *files) add(o *open) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byHandle[o.handle] = append(f.byHandle[o.handle], o)
	f.byID[o.openID()] = o
	if o.lease.Kind == causeway.Lease {
		f.leases[o.lease] = append(f.leases[o.lease], o)
	}
	if o.guid != ([16]byte{}) {
		o.replayable.Store(true)
		f.byGUID[o.createKey()] = o
	}
	if b := f.early[o.openID()]; b != nil {
		delete(f.early, o.openID())
		o.breaks = append(o.breaks, b)
	}
}

func (f *files) drop(o *open) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := slices.DeleteFunc(f.byHandle[o.handle], func(other *open) bool { return other == o })
	if f.byHandle[o.handle] = list; len(list) == 0 {
		delete(f.byHandle, o.handle)
	}
	delete(f.byID, o.openID())
	if o.lease.Kind == causeway.Lease {
		same := slices.DeleteFunc(f.leases[o.lease], func(other *open) bool { return other == o })
		if f.leases[o.lease] = same; len(same) == 0 {
			delete(f.leases, o.lease)
			delete(f.states, o.lease)
		}
	}
	if f.byGUID[o.createKey()] == o {
		delete(f.byGUID, o.createKey())
	}
}

// find returns an open by its id, nil if there is none here.
func (f *files) find(id causeway.OpenID) *open {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byID[id]
}

// check reports whether a directory may be changed by somebody who would open it with an access and a share mode.
func (f *files) check(h causeway.Handle, access, share uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.byHandle[h] {
		if conflicts(access, share, other.access, other.share) {
			return ntstatus.SharingViolation
		}
	}
	return nil
}

// setDelete remembers what was said of an object's deletion.
func (f *files) setDelete(o *open, pending bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.byHandle[o.handle] {
		other.deleting.Store(pending)
	}
}

// dooms reports whether closing the open dooms its object, as far as this server knows.
func (o *open) dooms() bool { return o.deleting.Load() || o.options&wire.OptDeleteOnClose != 0 }

// opened reports whether any open of the object is there.
func (f *files) opened(h causeway.Handle) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.byHandle[h]) > 0
}

// moved tells the opens of an object by one name that it has another one now.
func (f *files) moved(h, from causeway.Handle, name string, parent causeway.Handle, path []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.byHandle[h] {
		if dir, base := o.place(); dir == from && base == name {
			o.moved(parent, path)
		}
	}
}

// below reports whether anything under a directory is open.
func (f *files) below(dir *open) bool {
	dir.mu.Lock()
	top := slices.Clone(dir.path)
	dir.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	for h, opens := range f.byHandle {
		if h.Volume != dir.handle.Volume || h == dir.handle {
			continue
		}
		for _, o := range opens {
			o.mu.Lock()
			under := len(o.path) > len(top) && slices.Equal(o.path[:len(top)], top)
			o.mu.Unlock()
			if under {
				return true
			}
		}
	}
	return false
}
