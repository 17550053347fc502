// Package notify is the table of those who watch directories: changes in, addressees out. It is pure but for a mutex: it does no
// I/O, keeps no changes and does not know how directories lie in one another, which is asked for only when somebody watches whole
// trees. What clients are told, and how much of it is kept for one who does not ask, is for fronts.
package notify

import (
	"sync"
	"sync/atomic"

	"causeway"
)

// ID names a watch; its fields are those of gateway.WatchID.
type ID struct {
	Owner causeway.Owner
	Open  causeway.OpenID
}

// Watch is a directory that is watched.
type Watch struct {
	ID      ID
	Dir     causeway.Handle
	Filter  uint32 // bits of [MS-SMB2] 2.2.35
	Deep    bool   // all below it too
	Gateway string // whose client watches
}

// Change is a change of an entry of a directory.
type Change struct {
	Action uint32 // of [MS-FSCC] 2.7.1
	Name   string
	Filter uint32 // what kinds of change it is
}

// Notice is a change for one watcher.
type Notice struct {
	Watch  Watch
	Action uint32
	Name   string // relative to the watched directory
}

// Limits bound the table. Zero means the default.
type Limits struct {
	Watches          int // default 100,000
	WatchesPerClient int // default 10,000
	Depth            int // of trees: changes further below are not told; default 64
}

// Table holds the watches. Its methods may be called by many goroutines at once.
type Table struct {
	limits Limits
	any    atomic.Int64
	deep   atomic.Int64

	mu      sync.RWMutex
	byID    map[ID]*Watch
	byDir   map[causeway.Handle][]*Watch
	clients map[causeway.Owner]int // by kind and client
}

// New returns an empty table.
func New(l Limits) *Table {
	for _, d := range []struct {
		field    *int
		fallback int
	}{{&l.Watches, 100_000}, {&l.WatchesPerClient, 10_000}, {&l.Depth, 64}} {
		if *d.field <= 0 {
			*d.field = d.fallback
		}
	}
	return &Table{limits: l, byID: make(map[ID]*Watch), byDir: make(map[causeway.Handle][]*Watch), clients: make(map[causeway.Owner]int)}
}

// Any reports whether anything is watched: one atomic load.
func (t *Table) Any() bool { return t.any.Load() > 0 }

func clientOf(id ID) causeway.Owner {
	return causeway.Owner{Kind: id.Owner.Kind, Client: id.Owner.Client}
}

// Add adds a watch, or replaces the one with its id: ErrNoLocks if there are too many.
func (t *Table) Add(w Watch) causeway.Code {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(w.ID)
	if len(t.byID) >= t.limits.Watches || t.clients[clientOf(w.ID)] >= t.limits.WatchesPerClient {
		return causeway.ErrNoLocks
	}
	t.byID[w.ID] = &w
	t.byDir[w.Dir] = append(t.byDir[w.Dir], &w)
	t.clients[clientOf(w.ID)]++
	t.count(&w, 1)
	return causeway.OK
}

// Remove takes a watch away: ErrNoEnt if there is none.
func (t *Table) Remove(id ID) causeway.Code {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.removeLocked(id)
}

// RemoveWhere takes away all that are meant: of a client that is gone, or of a volume.
func (t *Table) RemoveWhere(meant func(*Watch) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, w := range t.byID {
		if meant(w) {
			t.removeLocked(id)
		}
	}
}

// Where returns the watches that are meant, in no order.
func (t *Table) Where(meant func(*Watch) bool) (list []Watch) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, w := range t.byID {
		if meant(w) {
			list = append(list, *w)
		}
	}
	return list
}

func (t *Table) removeLocked(id ID) causeway.Code {
	w := t.byID[id]
	if w == nil {
		return causeway.ErrNoEnt
	}
	delete(t.byID, id)
	list := t.byDir[w.Dir]
	for i, o := range list {
		if o == w {
			// A copy: Match may be looking at the old list.
			list = append(append([]*Watch(nil), list[:i]...), list[i+1:]...)
			break
		}
	}
	if t.byDir[w.Dir] = list; len(list) == 0 {
		delete(t.byDir, w.Dir)
	}
	c := clientOf(id)
	if t.clients[c]--; t.clients[c] == 0 {
		delete(t.clients, c)
	}
	t.count(w, -1)
	return causeway.OK
}

func (t *Table) count(w *Watch, n int64) {
	t.any.Add(n)
	if w.Deep {
		t.deep.Add(n)
	}
}

// Up tells the directory that a directory is in, and its name there; false at the root, or if it cannot be told.
type Up func(dir causeway.Handle) (parent causeway.Handle, name string, ok bool)

// Match returns who is to be told of a change in dir.
func (t *Table) Match(dir causeway.Handle, c Change, up Up) []Notice {
	if !t.Any() {
		return nil
	}
	found := t.matchOne(nil, dir, c.Name, &c, false)
	if t.deep.Load() == 0 {
		return found
	}
	name := c.Name
	for range t.limits.Depth {
		parent, in, ok := up(dir)
		if !ok || parent == dir {
			break
		}
		dir, name = parent, in+"/"+name
		found = t.matchOne(found, dir, name, &c, true)
	}
	return found
}

func (t *Table) matchOne(found []Notice, dir causeway.Handle, name string, c *Change, below bool) []Notice {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, w := range t.byDir[dir] {
		if w.Filter&c.Filter != 0 && (w.Deep || !below) {
			found = append(found, Notice{*w, c.Action, name})
		}
	}
	return found
}
