package smb

import (
	"container/list"
	"errors"
	"maps"
	"os"
	"sync"

	"github.com/cloudsoda/go-smb2"

	"causeway"
)

// files are the files that are open in the volume. Each has at most one handle at the server, which all who have it open share; it
// is opened when it is used first, and again after its connection, its name or too many others took it away.
type files struct {
	share *share

	mu     sync.Mutex
	byPath map[string]*opened
	recent list.List // of *opened with a handle, the one used last in front
}

// opened is a file that somebody has open.
type opened struct {
	files *files
	users int           // guarded by files.mu, as are path, gone and place
	path  string        // where it is now
	gone  bool          // its name was removed
	place *list.Element // in recent; nil: no handle

	mu       sync.RWMutex // held for reading by those who use the handle
	handle   *smb2.File
	link     *link
	writable bool
	dirty    *link // the connection over which it was written since the last Sync
	lost     bool  // one of these has ended

	syncing sync.Mutex // held by those who sync
}

func (f *files) init(s *share) { f.share, f.byPath = s, map[string]*opened{} }

// with does something with the handle, which it opens if need be; repeated once over a new connection.
func (o *opened) with(op string, write bool, do func(*smb2.File) error) error {
	for attempt := 0; ; attempt++ {
		if err := o.ready(op, write); err != nil {
			return err
		}
		o.mu.RLock()
		handle, l := o.handle, o.link
		if handle == nil || write && !o.writable {
			o.mu.RUnlock()
			attempt--
			continue // taken away in between
		}
		lost, err := l.run(o.files.share.cfg.Timeout, func() error { return do(handle) })
		o.mu.RUnlock()
		switch {
		case !lost:
			return err
		case attempt > 0:
			return &causeway.Error{Op: op, Code: causeway.ErrDelay, Err: err}
		}
	}
}

// ready makes sure that there is a handle.
func (o *opened) ready(op string, write bool) error {
	o.mu.RLock()
	fine := o.handle != nil && !o.link.isBroken() && (o.writable || !write)
	o.mu.RUnlock()
	if fine {
		o.files.used(o)
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.handle != nil && (o.link.isBroken() || write && !o.writable) {
		o.drop()
	}
	if o.handle != nil {
		return nil
	}
	o.files.mu.Lock()
	name, gone := o.path, o.gone
	o.files.mu.Unlock()
	if gone {
		return causeway.ErrStale
	}
	return o.open(op, name, write || o.writable)
}

// open opens the file at the server. Who may not write what he does not want to write reads it.
func (o *opened) open(op, name string, write bool) error {
	s := o.files.share
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	for attempt := 0; ; attempt++ {
		l, err := s.links.get()
		if err != nil {
			return err
		}
		lost, err := l.run(s.cfg.Timeout, func() (err error) {
			o.handle, err = l.share.OpenFile(s.wire(name), flag, 0o666)
			return err
		})
		switch {
		case err == nil:
			o.link, o.writable = l, write
			o.files.used(o)
			return nil
		case lost && attempt == 0:
			continue
		case lost:
			return &causeway.Error{Op: op, Code: causeway.ErrDelay, Err: err}
		}
		return failed(op, err)
	}
}

// drop closes the handle. The lock is held.
func (o *opened) drop() {
	handle, l := o.handle, o.link
	o.handle, o.link = nil, nil
	if handle != nil && !l.isBroken() {
		_, _ = l.run(o.files.share.cfg.Timeout, handle.Close) // the connection ends if this fails, and the handle with it
	}
	if o.dirty != nil && o.dirty.isBroken() {
		o.lost = true
	}
	f := o.files
	f.mu.Lock()
	if o.place != nil {
		f.recent.Remove(o.place)
		o.place = nil
	}
	f.mu.Unlock()
}

// used notes that a handle is used, and takes another one away if there are too many.
func (f *files) used(o *opened) {
	f.mu.Lock()
	if o.place == nil {
		o.place = f.recent.PushFront(o)
	} else {
		f.recent.MoveToFront(o.place)
	}
	var oldest *opened
	if f.recent.Len() > f.share.cfg.MaxFiles {
		oldest = f.recent.Back().Value.(*opened)
	}
	f.mu.Unlock()
	if oldest != nil && oldest != o && oldest.mu.TryLock() { // one that is in use now is not the oldest soon
		oldest.drop()
		oldest.mu.Unlock()
	}
}

// at returns what is open at a path or below it.
func (f *files) at(name string) (found []*opened) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, o := range f.byPath {
		if below(p, name) {
			found = append(found, o)
		}
	}
	return found
}

// gone notes that a name is about to be removed.
func (f *files) gone(name string) {
	for _, o := range f.at(name) {
		o.mu.Lock()
		o.drop()
		o.mu.Unlock()
	}
}

// removed notes that nothing that was open at a path is there any more.
func (f *files) removed(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, o := range f.byPath {
		if below(p, name) {
			o.gone = true
			delete(f.byPath, p)
		}
	}
}

// moving closes the handles below two names, and keeps them closed until the function that it returns is called.
func (f *files) moving(from, to string) func() {
	held := f.at(from)
	for _, o := range f.at(to) {
		if !below(to, from) {
			held = append(held, o)
		}
	}
	for _, o := range held {
		o.mu.Lock()
		o.drop()
	}
	return func() {
		for _, o := range held {
			o.mu.Unlock()
		}
	}
}

// moved gives what is open its new path. What stood there has none any more.
func (f *files) moved(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.byPath[to]; o != nil && from != to {
		o.gone = true
		delete(f.byPath, to)
	}
	next := map[string]*opened{}
	for p, o := range f.byPath {
		if below(p, from) {
			delete(f.byPath, p)
			o.path = to + p[len(from):]
			next[o.path] = o
		}
	}
	maps.Copy(f.byPath, next)
}

func (f *files) close() {
	for _, o := range f.at(".") {
		o.mu.Lock()
		o.drop()
		o.mu.Unlock()
	}
}

func (o *opened) where() string {
	o.files.mu.Lock()
	defer o.files.mu.Unlock()
	return o.path
}

// sync makes what was written stable, one call after the other, and tells of a loss before the next: a server tells of it once.
func (o *opened) sync() error {
	o.syncing.Lock()
	defer o.syncing.Unlock()
	err := o.settle(func() error { return o.with("sync", true, func(h *smb2.File) error { return h.Sync() }) })
	if lost := o.files.share.cfg.OnSyncError; err != nil && lost != nil {
		lost(err)
	}
	return err
}

// settle has something make stable what was written before. What is written meanwhile is for the next time.
func (o *opened) settle(flush func() error) error {
	o.mu.Lock()
	dirty, lost := o.dirty, o.lost
	o.dirty, o.lost = nil, false
	o.mu.Unlock()
	err := flush()
	if lost = lost || dirty != nil && dirty.isBroken(); err == nil && lost {
		return &causeway.Error{Op: "sync", Code: causeway.ErrIO, Err: errors.New("the connection ended since the last sync: writes may be lost")}
	}
	if err == nil || dirty == nil && !lost && causeway.CodeOf(failed("sync", err)) == causeway.ErrAccess { // who may not write has nothing to sync
		return nil
	}
	o.wrote(dirty)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost = o.lost || lost
	return failed("sync", err)
}

// wrote notes over which connection something was written.
func (o *opened) wrote(l *link) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case l == nil || l == o.dirty:
	case l.isBroken():
		o.lost = true
	default:
		o.lost = o.lost || o.dirty != nil && o.dirty.isBroken()
		o.dirty = l
	}
}

func (o *opened) unsynced() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.dirty != nil || o.lost
}
