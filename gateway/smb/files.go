package smb

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/wire"
)

// files is what this server knows of its own opens: who hears of an event, and which names are in use. Share modes, leases and
// deletions are the engines' affair, for all gateways and protocols.
type files struct {
	mu       sync.Mutex
	byHandle map[causeway.Handle][]*open
	byID     map[causeway.OpenID]*open
	users    map[uint32]int   // how many of byID and kept are a user's
	onFile   map[userFile]int // how many of these are of one file or directory
	leases   map[causeway.LeaseID][]*open
	states   map[causeway.LeaseID]gateway.LeaseState // as their clients know them
	byGUID   map[createKey]*open                     // whose CREATE may be repeated
	creating map[createKey]chan struct{}             // that are at work
	kept     map[uint64]*keptOpen                    // whose connection has ended, by persistent id
	swept    time.Time                               // when kept was looked through
	early    map[causeway.OpenID]*gateway.Break      // breaks of opens that are not known yet
	opening  atomic.Int64                            // requests that may make an open
}

func (f *files) init() {
	f.byHandle, f.byID = map[causeway.Handle][]*open{}, map[causeway.OpenID]*open{}
	f.leases, f.users, f.onFile = map[causeway.LeaseID][]*open{}, map[uint32]int{}, map[userFile]int{}
	f.states, f.creating = map[causeway.LeaseID]gateway.LeaseState{}, map[createKey]chan struct{}{}
	f.byGUID, f.kept, f.early = map[createKey]*open{}, map[uint64]*keptOpen{}, map[causeway.OpenID]*gateway.Break{}
}

func (f *files) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.byID)
}

func (f *files) add(o *open) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byHandle[o.handle] = append(f.byHandle[o.handle], o)
	f.byID[o.openID()] = o
	f.moreLocked(o.uid, o.handle)
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
	f.lessLocked(o.uid, o.handle)
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

// userFile is a user's use of one file or directory.
type userFile struct {
	uid    uint32
	handle causeway.Handle
}

// full reports whether a user has as many opens as he may, of all files or of this one.
func (f *files) full(uid uint32, h causeway.Handle, cfg *Config) bool {
	now := cfg.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	enough := func() bool {
		return f.users[uid] >= cfg.MaxOpensPerUser || f.onFile[userFile{uid, h}] >= cfg.MaxOpensPerFile
	}
	if enough() && now.Sub(f.swept) > time.Second {
		f.sweepLocked(now)
	}
	return enough()
}

func (f *files) moreLocked(uid uint32, h causeway.Handle) {
	f.users[uid]++
	f.onFile[userFile{uid, h}]++
}

func (f *files) lessLocked(uid uint32, h causeway.Handle) {
	if f.users[uid]--; f.users[uid] == 0 {
		delete(f.users, uid)
	}
	if of := (userFile{uid, h}); f.onFile[of] > 1 {
		f.onFile[of]--
	} else {
		delete(f.onFile, of)
	}
}

// find returns an open by its id, nil if there is none here.
func (f *files) find(id causeway.OpenID) *open {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byID[id]
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
