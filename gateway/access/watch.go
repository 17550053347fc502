package access

import (
	"context"
	"sync"

	"causeway"
	"causeway/gateway"
	"causeway/lockmgr"
	"causeway/lockmgr/notify"
)

// watches is what the engine needs to tell of changes: to whom, and where directories are.
type watches struct {
	mu      sync.Mutex
	events  [causeway.OwnerAware + 1]gateway.Events
	parents map[causeway.Handle]place // of directories below watched trees
}

// place is where a directory is.
type place struct {
	dir  causeway.Handle
	name string
}

// maxPlaces bounds what is remembered of where directories are.
const maxPlaces = 1 << 16

// forget forgets where directories are, when one may have moved.
func (w *watches) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parents = nil
}

func (w *watches) place(dir causeway.Handle) (place, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.parents[dir]
	return p, ok
}

func (w *watches) remember(dir causeway.Handle, p place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.parents == nil || len(w.parents) >= maxPlaces {
		w.parents = make(map[causeway.Handle]place)
	}
	w.parents[dir] = p
}

// Subscribe implements gateway.Access.
func (e *Engine) Subscribe(kind causeway.OwnerKind, to gateway.Events) {
	e.watches.mu.Lock()
	e.watches.events[kind] = to
	e.watches.mu.Unlock()
	e.locker.Subscribe(kind, to)
}

// Subscribe registers who is told of locks, leases and opens.
func (l *locker) Subscribe(kind causeway.OwnerKind, to gateway.Events) {
	l.locks.Subscribe(kind, func(ev lockmgr.Event) {
		// A receiver that fails has nobody left to tell: the client asks again.
		_ = to.Deliver(context.Background(), eventOf(ev))
	})
}

func eventOf(e lockmgr.Event) gateway.Event {
	out := gateway.Event{Gateway: e.To}
	switch e.Kind {
	case lockmgr.LockGranted:
		out.Kind, out.Lock = gateway.LockGranted, gateway.Lock(e.Lock)
	case lockmgr.LeaseBroken:
		b := e.Break
		out.Kind = gateway.LeaseBroken
		out.Break = gateway.Break{
			Handle: b.Handle, ID: b.ID, Owner: b.Owner, Open: b.Open, From: b.From, To: b.To, Epoch: b.Epoch, Ack: b.Ack, Within: e.Within,
		}
	case lockmgr.OpenLost:
		out.Kind = gateway.OpenLost
		out.Break = gateway.Break{Handle: e.Open.Handle, ID: e.Open.Lease, Owner: e.Open.Owner, Open: e.Open.Open}
	}
	return out
}

// Watch implements gateway.Watcher. The caller needs the right to list the directory, unless he has it open.
func (e *Engine) Watch(ctx context.Context, c *gateway.Caller, dir causeway.Handle, id gateway.WatchID, filter gateway.NoticeFilter, deep bool) error {
	_, attr, err := e.statFor(ctx, c, dir)
	if err != nil {
		return err
	}
	need := causeway.MayRead
	if (c.Open != causeway.OpenID{}) {
		need = 0
	}
	if err := requireDir(c, &attr, need); err != nil {
		return err
	}
	return errorOf(e.notices.Add(notify.Watch{ID: notify.ID(id), Dir: dir, Filter: uint32(filter), Deep: deep, Gateway: c.Gateway}))
}

// Unwatch implements gateway.Watcher.
func (e *Engine) Unwatch(_ context.Context, _ causeway.Handle, id gateway.WatchID) error {
	return errorOf(e.notices.Remove(notify.ID(id)))
}

// unwatch ends all watches of a volume.
func (e *Engine) unwatch(id causeway.VolumeID) {
	e.notices.RemoveWhere(func(w *notify.Watch) bool { return w.Dir.Volume == id })
}

// notice tells the watchers of a change in dir.
func (e *Engine) notice(ctx context.Context, dir causeway.Handle, c notify.Change) {
	if !e.notices.Any() {
		return
	}
	for _, n := range e.notices.Match(dir, c, func(d causeway.Handle) (causeway.Handle, string, bool) { return e.up(ctx, d) }) {
		e.deliver(ctx, &n.Watch, gateway.Event{Notices: []gateway.Notice{{Action: gateway.NoticeAction(n.Action), Name: n.Name}}})
	}
}

// deliver tells a watcher something.
func (e *Engine) deliver(ctx context.Context, w *notify.Watch, what gateway.Event) {
	e.watches.mu.Lock()
	to := e.watches.events[w.ID.Owner.Kind]
	e.watches.mu.Unlock()
	if to != nil {
		what.Kind, what.Gateway, what.Watch = gateway.Noticed, w.Gateway, gateway.WatchID(w.ID)
		_ = to.Deliver(ctx, what)
	}
}

// up finds the directory that dir is in, and its name there.
func (e *Engine) up(ctx context.Context, dir causeway.Handle) (causeway.Handle, string, bool) {
	if p, ok := e.watches.place(dir); ok {
		return p.dir, p.name, true
	}
	v, err := e.volume(dir.Volume)
	if err != nil || dir.Object == v.store.Root() {
		return dir, "", false
	}
	id, _, err := v.store.Lookup(ctx, dir.Object, "..")
	if err != nil {
		return dir, "", false
	}
	attr, err := v.store.Stat(ctx, dir.Object)
	if err != nil {
		return dir, "", false
	}
	var name string
	_, err = v.store.List(ctx, id, 0, false, func(entry *causeway.DirEntry) bool {
		if entry.FileID == attr.FileID && entry.Name != "." && entry.Name != ".." {
			name = string([]byte(entry.Name))
		}
		return name == ""
	})
	if err != nil || name == "" {
		return dir, "", false
	}
	p := place{causeway.Handle{Volume: dir.Volume, Object: id}, name}
	e.watches.remember(dir, p)
	return p.dir, p.name, true
}
