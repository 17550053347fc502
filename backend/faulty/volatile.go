package faulty

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
)

// Volatile is a store in memory that keeps, beside its state, what of it is stable. Crash throws the rest away. It promises
// the least that backend.Store allows, object by object:
//
//   - Persist of a directory makes stable the names in it, its attributes, and that the objects behind these names exist,
//     with the attributes that they were born with and without contents.
//   - Persist of anything else makes its attributes stable, and changes of size by SetStat.
//   - Sync of an object makes its contents and size stable, and unless dataOnly its attributes. It does not make any name
//     of it stable: an object without a stable name is lost however often it was synced.
//   - Nothing else makes anything stable. A rename between two directories is two changes: if only one directory was
//     persisted, the object has both names after a crash or none.
//   - A Sync that fails by a Rule loses the data that was unstable then: it can still be read, but no later Sync makes it
//     stable. This is what Linux does: after an error of writing back, pages count as clean.
//
// After a crash objects have the ids, numbers and cookies that they had, nothing that was lost lends its id to something
// new, and the change attribute goes on rising. A directory that has two stable names keeps one of them; what cannot be
// reached from the root is gone.
type Volatile struct {
	cfg mem.Config

	rw      sync.RWMutex // held by Crash alone, shared by all others
	live    *mem.Store
	crashes int

	mu      sync.Mutex // guards below; taken while live is locked
	records map[causeway.ObjectID]*record
	dead    int // records of objects without a name
	seq     uint64
}

var _ backend.Store = (*Volatile)(nil)

// NewVolatile returns an empty volume. Its root is stable. Config.Observe is not used.
func NewVolatile(cfg mem.Config) *Volatile {
	for cfg.Generation == 0 {
		var b [8]byte
		rand.Read(b[:]) // never fails
		cfg.Generation = binary.BigEndian.Uint64(b[:])
	}
	v := &Volatile{records: make(map[causeway.ObjectID]*record)}
	cfg.Observe = v.observe
	v.cfg, v.live = cfg, mem.New(cfg)
	root := v.live.Root()
	a, _ := v.live.Stat(context.Background(), root)
	v.records[root] = newRecord(root, a)
	v.seq = a.Change
	return v
}

// Root returns the id of the root directory.
func (v *Volatile) Root() causeway.ObjectID {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Root()
}

// Close closes the store; nothing is kept.
func (v *Volatile) Close() error {
	v.rw.Lock()
	defer v.rw.Unlock()
	return v.live.Close()
}

// Lookup finds a name.
func (v *Volatile) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Lookup(ctx, dir, name)
}

// Stat returns attributes.
func (v *Volatile) Stat(ctx context.Context, id causeway.ObjectID) (causeway.Attr, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Stat(ctx, id)
}

// ACL implements backend.Tree.
func (v *Volatile) ACL(ctx context.Context, id causeway.ObjectID) (*causeway.ACL, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.ACL(ctx, id)
}

// SetStat changes attributes, not stable.
func (v *Volatile) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.SetStat(ctx, id, set)
}

// List lists a directory. A crash in the middle of it ends it with ErrClosed.
func (v *Volatile) List(ctx context.Context, dir causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (bool, error) {
	v.rw.RLock()
	live := v.live
	v.rw.RUnlock()
	return live.List(ctx, dir, cookie, attrs, emit) // emit may call back, so that no lock can be held
}

// ReadLink returns the target of a symbolic link.
func (v *Volatile) ReadLink(ctx context.Context, id causeway.ObjectID) (string, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.ReadLink(ctx, id)
}

// Create makes an object, not stable.
func (v *Volatile) Create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (causeway.ObjectID, causeway.Attr, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Create(ctx, dir, name, spec)
}

// Remove removes a name, not stable.
func (v *Volatile) Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Remove(ctx, parent, name, dir)
}

// Rename moves a name, not stable.
func (v *Volatile) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Rename(ctx, from, name, to, newName)
}

// Link makes another name, not stable.
func (v *Volatile) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Link(ctx, id, dir, name)
}

// StatFS reports memory.
func (v *Volatile) StatFS(ctx context.Context) (causeway.FSStat, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.StatFS(ctx)
}

// Persist makes names and attributes stable.
func (v *Volatile) Persist(ctx context.Context, ids ...causeway.ObjectID) error {
	v.rw.RLock()
	defer v.rw.RUnlock()
	if err := v.live.Persist(ctx, ids...); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range ids {
		if r := v.records[id]; r != nil {
			r.persist()
		}
	}
	v.sweep()
	return nil
}

// Extents maps a span.
func (v *Volatile) Extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, s causeway.Span) ([]causeway.Extent, causeway.Locator, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	return v.live.Extents(ctx, id, mode, s)
}

// Open opens the bytes of a file. What is open at a crash is stale afterwards.
func (v *Volatile) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, loc causeway.Locator) (backend.Object, error) {
	v.rw.RLock()
	defer v.rw.RUnlock()
	o, err := v.live.Open(ctx, id, mode, loc)
	if err != nil {
		return nil, err
	}
	return &volatileObject{v, o, id, v.crashes}, nil
}

// volatileObject is the open bytes of a file until the next crash.
type volatileObject struct {
	store   *Volatile
	inner   backend.Object
	id      causeway.ObjectID
	crashes int
}

// alive runs do, unless there was a crash since the object was opened.
func (o *volatileObject) alive(do func() error) error {
	o.store.rw.RLock()
	defer o.store.rw.RUnlock()
	if o.crashes != o.store.crashes {
		return causeway.ErrStale
	}
	return do()
}

func (o *volatileObject) Stat(ctx context.Context) (a causeway.Attr, err error) {
	err = o.alive(func() (err error) {
		a, err = o.inner.Stat(ctx)
		return err
	})
	return a, err
}

func (o *volatileObject) ReadAt(ctx context.Context, p []byte, off uint64) (n int, err error) {
	err = o.alive(func() (err error) {
		n, err = o.inner.ReadAt(ctx, p, off)
		return err
	})
	return n, err
}

func (o *volatileObject) ReadAtNoWait(p []byte, off uint64) (int, error) {
	return o.ReadAt(context.Background(), p, off)
}

func (o *volatileObject) WriteAt(ctx context.Context, p []byte, off uint64) (n int, err error) {
	err = o.alive(func() (err error) {
		n, err = o.inner.WriteAt(ctx, p, off)
		return err
	})
	return n, err
}

func (o *volatileObject) Punch(ctx context.Context, s causeway.Span) error {
	return o.alive(func() error { return o.inner.(backend.Puncher).Punch(ctx, s) })
}

func (o *volatileObject) Sync(ctx context.Context, dataOnly bool) error {
	return o.alive(func() error {
		if err := o.inner.Sync(ctx, dataOnly); err != nil {
			return err
		}
		o.store.mu.Lock()
		defer o.store.mu.Unlock()
		if r := o.store.records[o.id]; r != nil {
			r.sync(dataOnly)
		}
		return nil
	})
}

func (o *volatileObject) loseDirty() {
	_ = o.alive(func() error {
		o.store.mu.Lock()
		defer o.store.mu.Unlock()
		if r := o.store.records[o.id]; r != nil {
			r.lose()
		}
		return nil
	})
}

func (o *volatileObject) Close() error {
	err := o.alive(o.inner.Close)
	if err == causeway.ErrStale {
		return nil // the crash closed it
	}
	return err
}
