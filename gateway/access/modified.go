package access

import (
	"context"
	"sync"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/lockmgr/notify"
)

// nameless are objects that have changed, of which it has to be found out where they are, so that those who watch can be told: whoever
// changes an object by its handle says no name. There is one goroutine that does, while there are any.
type nameless struct {
	mu      sync.Mutex
	waiting map[causeway.Handle]gateway.NoticeFilter
	missed  bool // there were more
	runs    bool
}

// Bounds: of objects that wait for their names, and of entries that are looked at in one round to find some; and the pause
// after a round in which directories were listed.
const (
	maxNameless   = 1 << 14
	maxListed     = 1 << 16
	betweenRounds = 250 * time.Millisecond
)

// modified tells of a change of an object: at once if somebody has it open by name, else when a name of it has been found.
func (e *Engine) modified(ctx context.Context, h causeway.Handle, filter gateway.NoticeFilter) {
	if filter == 0 || !e.notices.Any() {
		return
	}
	if dir, name, ok := e.locks.NameOf(h); ok {
		e.tellModified(ctx, dir, name, filter)
		return
	}
	n := &e.nameless
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.waiting[h]; !known && len(n.waiting) >= maxNameless {
		n.missed = true
		return
	}
	if n.waiting == nil {
		n.waiting = make(map[causeway.Handle]gateway.NoticeFilter)
	}
	n.waiting[h] |= filter
	if !n.runs {
		n.runs = true
		e.running.Go(e.findNames)
	}
}

func (e *Engine) tellModified(ctx context.Context, dir causeway.Handle, name string, filter gateway.NoticeFilter) {
	e.notice(ctx, dir, notify.Change{Action: uint32(gateway.Modified), Name: name, Filter: uint32(filter)})
}

// findNames tells of all that waits.
func (e *Engine) findNames() {
	ctx, n := context.Background(), &e.nameless
	for {
		n.mu.Lock()
		list, missed := n.waiting, n.missed
		n.waiting, n.missed = nil, false
		if n.runs = len(list) > 0; !n.runs {
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		lists := listings{e: e, left: maxListed}
		for h, filter := range list {
			if dir, name, ok := e.nameOf(ctx, h, &lists); ok {
				e.tellModified(ctx, dir, name, filter)
			}
		}
		if missed {
			e.tellMissed(ctx, gateway.NoticeSize|gateway.NoticeLastWrite)
		}
		if lists.byVolume != nil {
			time.Sleep(betweenRounds)
		}
	}
}

// tellMissed makes all who watch for such changes look for themselves.
func (e *Engine) tellMissed(ctx context.Context, filter gateway.NoticeFilter) {
	for _, w := range e.notices.Where(func(w *notify.Watch) bool { return w.Filter&uint32(filter) != 0 }) {
		e.deliver(ctx, &w, gateway.Event{Missed: true})
	}
}

// nameOf finds a name of an object: what the storage tells, else one in a directory that is watched.
func (e *Engine) nameOf(ctx context.Context, h causeway.Handle, lists *listings) (dir causeway.Handle, name string, ok bool) {
	v, err := e.volume(h.Volume)
	if err != nil {
		return dir, "", false
	}
	if namer, can := v.store.(backend.Namer); can {
		if id, name, err := namer.Name(ctx, h.Object); err == nil {
			return causeway.Handle{Volume: v.ID, Object: id}, name, true
		}
	}
	attr, err := v.store.Stat(ctx, h.Object)
	if err != nil {
		return dir, "", false
	}
	p, ok := lists.of(ctx, v)[attr.FileID]
	if !ok {
		return dir, "", false
	}
	id, _, err := v.store.Lookup(ctx, p.dir.Object, p.name)
	return p.dir, p.name, err == nil && id == h.Object
}

// listings are what the watched directories hold, by file id, in one round.
type listings struct {
	e        *Engine
	left     int
	byVolume map[causeway.VolumeID]map[uint64]place
}

func (l *listings) of(ctx context.Context, v *volume) map[uint64]place {
	if found := l.byVolume[v.ID]; found != nil {
		return found
	}
	found := make(map[uint64]place)
	listed := make(map[causeway.Handle]bool)
	for _, w := range l.e.notices.Where(func(w *notify.Watch) bool { return w.Dir.Volume == v.ID }) {
		if listed[w.Dir] || l.left <= 0 {
			continue
		}
		listed[w.Dir] = true
		_, _ = v.store.List(ctx, w.Dir.Object, 0, false, func(x *causeway.DirEntry) bool { // what cannot be listed has nothing to be told
			if x.Name != "." && x.Name != ".." {
				found[x.FileID] = place{w.Dir, string([]byte(x.Name))}
			}
			l.left--
			return l.left > 0
		})
	}
	if l.byVolume == nil {
		l.byVolume = make(map[causeway.VolumeID]map[uint64]place)
	}
	l.byVolume[v.ID] = found
	return found
}
