package access

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/lockmgr"
)

// openings are locks of names that are being opened, by a hash, so that of two who create one name one finds the other's object, and
// nobody opens what the last close of another removes. None is held while a lease's holder is waited for.
type openings struct {
	seed    maphash.Seed
	once    sync.Once
	stripes [64]sync.Mutex
}

func (o *openings) lock(dir causeway.Handle, name string) (unlock func()) {
	o.once.Do(func() { o.seed = maphash.MakeSeed() })
	m := &o.stripes[(maphash.String(o.seed, name)^dir.Hash())%uint64(len(o.stripes))]
	m.Lock()
	return m.Unlock
}

// opening is one call of Open.
type opening struct {
	e    *Engine
	c    *gateway.Caller
	v    *volume
	h    causeway.Handle // as asked
	spec *gateway.OpenSpec
	dir  *change // where a name was given

	entry  gateway.Entry
	action gateway.OpenAction
	access causeway.AccessMask
}

// Open implements gateway.Opener.
func (e *Engine) Open(ctx context.Context, c *gateway.Caller, h causeway.Handle, spec *gateway.OpenSpec) (gateway.Opened, error) {
	v, err := e.volume(h.Volume)
	if err != nil {
		return gateway.Opened{}, err
	}
	o := &opening{e: e, c: c, v: v, h: h, spec: spec}
	if spec.Name == "" {
		return o.byHandle(ctx)
	}
	for range maxTries {
		opened, err := o.byName(ctx)
		if !errors.Is(err, errMoved) {
			return opened, err
		}
		*o = opening{e: e, c: c, v: v, h: h, spec: spec}
	}
	return gateway.Opened{}, causeway.ErrDelay
}

// errMoved says that a name became another object's while a lease's holder was waited for.
var errMoved = errors.New("the name is another object's now")

const maxTries = 10

func (o *opening) byHandle(ctx context.Context) (gateway.Opened, error) {
	if o.spec.DeleteOnClose || o.spec.Disposition == gateway.CreateNew {
		return gateway.Opened{}, causeway.ErrInval
	}
	attr, err := o.v.store.Stat(ctx, o.h.Object)
	if err != nil {
		return gateway.Opened{}, err
	}
	o.entry = gateway.Entry{Handle: o.h, Attr: attr}
	if err := o.existing(ctx); err != nil {
		return gateway.Opened{Entry: o.entry}, err
	}
	return o.finish(ctx, o.c.NoWait)
}

// byName finds or makes the object and opens it, in one step for all other opens by name. If it has to wait, it lets the name go
// first, and looks afterwards whether it still stands for the same object.
func (o *opening) byName(ctx context.Context) (gateway.Opened, error) {
	ch, err := o.e.begin(ctx, o.c, o.v, o.h)
	if err != nil {
		return gateway.Opened{}, err
	}
	o.dir = &ch
	opened, err := o.underName(ctx)
	if errors.Is(err, causeway.ErrWouldBlock) && !o.c.NoWait && o.entry.Attr.Valid() {
		opened, err = o.patiently(ctx)
	}
	if err == nil && o.action != gateway.DidCreate { // no name has changed
		ch.touched.end()
		opened.Dir = causeway.Change{Before: ch.before, After: ch.before}
		return opened, nil
	}
	opened.Dir = ch.end(ctx)
	if err == nil && o.action == gateway.DidCreate {
		o.e.made(o.v, o.h, &opened.Dir, o.spec.Name)
		by := *o.c
		by.Open = opened.ID // its lease says whose directory lease stays
		o.e.entries(ctx, &by, o.h, o.spec.Name, gateway.Added, nameFilter(o.entry.Attr.Type == causeway.TypeDirectory))
		err = o.v.persist(ctx, o.c, o.h.Object, o.entry.Handle.Object)
	}
	return opened, err
}

func (o *opening) underName(ctx context.Context) (gateway.Opened, error) {
	defer o.e.lockOpening(o.v, o.h, o.spec.Name)()
	if name, err := o.e.spelt(ctx, o.c, o.h, o.spec.Name); err != nil {
		return gateway.Opened{}, err
	} else if name != o.spec.Name {
		spec := *o.spec
		spec.Name, o.spec = name, &spec
	}
	if err := o.find(ctx); err != nil {
		return gateway.Opened{Entry: o.entry}, err
	}
	opened, err := o.finish(ctx, true)
	if err != nil && o.action == gateway.DidCreate {
		err = errors.Join(err, o.v.store.Remove(ctx, o.h.Object, o.spec.Name, o.entry.Attr.Type == causeway.TypeDirectory))
	}
	return opened, err
}

func (o *opening) patiently(ctx context.Context) (gateway.Opened, error) {
	opened, err := o.finish(ctx, false)
	if err != nil {
		return opened, err
	}
	if id, _, err := o.v.store.Lookup(ctx, o.h.Object, o.spec.Name); err != nil || id != o.entry.Handle.Object {
		o.e.locks.CloseOpen(opened.Handle, opened.ID)
		return gateway.Opened{}, errMoved
	}
	return opened, nil
}

// find finds the object, or makes it.
func (o *opening) find(ctx context.Context) error {
	if err := requireDir(o.c, &o.dir.before, causeway.MayExec); err != nil {
		return err
	}
	if err := checkName(o.spec.Name); err != nil || o.spec.Name == "." || o.spec.Name == ".." {
		return causeway.ErrBadName
	}
	for range 2 {
		id, attr, err := o.v.store.Lookup(ctx, o.h.Object, o.spec.Name)
		if err == nil {
			o.entry = gateway.Entry{Handle: causeway.Handle{Volume: o.v.ID, Object: id}, Attr: attr}
			return o.existing(ctx)
		}
		if !errors.Is(err, causeway.ErrNoEnt) {
			return err
		}
		if o.spec.Disposition == gateway.OpenExisting || o.spec.Disposition == gateway.Overwrite {
			return causeway.ErrNoEnt
		}
		if err = o.make(ctx); !errors.Is(err, causeway.ErrExist) {
			return err
		}
	}
	return causeway.ErrExist
}

func (o *opening) make(ctx context.Context) error {
	spec := o.spec.Create
	spec.How = gateway.Guarded
	if spec.Type == 0 {
		spec.Type = causeway.TypeRegular
	}
	if err := o.mayAdd(ctx); err != nil {
		return err
	}
	entry, err := makeNew(ctx, o.c, o.dir, o.spec.Name, &spec)
	if err != nil {
		return err
	}
	entry.Handle.Volume = o.v.ID
	o.entry, o.action = entry, gateway.DidCreate
	// Who makes a file may use it as he asked, whatever mode he gives it (POSIX open).
	o.access = o.spec.Access &^ causeway.MaximumAllowed
	if o.spec.Access&causeway.MaximumAllowed != 0 {
		o.access |= everyRight
	}
	return nil
}

// existing decides what may be done with an object that is there.
func (o *opening) existing(ctx context.Context) error {
	a := &o.entry.Attr
	isDir := a.Type == causeway.TypeDirectory
	empties := o.empties()
	switch {
	case o.spec.Disposition == gateway.CreateNew:
		return causeway.ErrExist
	case o.spec.OnlyDir && !isDir:
		return causeway.ErrNotDir
	case (o.spec.NoDir || empties) && isDir:
		return causeway.ErrIsDir
	case empties && a.Type != causeway.TypeRegular:
		return causeway.ErrInval
	}
	if err := backend.LoadACL(ctx, o.v.store, o.entry.Handle.Object, &o.c.Cred, a); err != nil {
		return err
	}
	o.action = gateway.DidOpen
	want := o.spec.Access &^ causeway.MaximumAllowed
	if empties {
		want |= causeway.FileWriteData
		if o.action = gateway.Overwritten; o.spec.Disposition == gateway.Supersede {
			o.action = gateway.Superseded
		}
	}
	var dir *causeway.Attr
	if o.dir != nil {
		dir = &o.dir.before
	}
	may, kept, err := o.windowsRights(ctx, a, dir)
	if err != nil {
		return err
	}
	if !kept {
		may = openRights(&o.c.Cred, a, dir)
	}
	if o.c.ReadOnly || o.v.ReadOnly {
		if want&may == want && want&changing != 0 {
			return causeway.ErrROFS
		}
		may &^= changing
	}
	if want&^may != 0 {
		return causeway.ErrAccess
	}
	o.access = o.spec.Access &^ causeway.MaximumAllowed
	if o.spec.Access&causeway.MaximumAllowed != 0 {
		o.access |= may
	}
	return nil
}

func (o *opening) empties() bool {
	switch o.spec.Disposition {
	case gateway.Supersede, gateway.Overwrite, gateway.OverwriteOrMake:
		return o.action != gateway.DidCreate
	}
	return false
}

// finish puts the open into the table and carries out what it asks for.
func (o *opening) finish(ctx context.Context, peek bool) (gateway.Opened, error) {
	if o.spec.DeleteOnClose && o.access&causeway.Delete == 0 {
		return gateway.Opened{Entry: o.entry}, causeway.ErrAccess
	}
	empties := o.empties()
	r := lockmgr.OpenRequest{
		Held:    o.held(),
		Lease:   lockmgr.LeaseRequest(o.spec.Lease),
		Empties: empties, Dir: o.entry.Attr.Type == causeway.TypeDirectory, Reclaim: o.spec.Reclaim, Peek: peek,
	}
	open := o.e.locks.Open
	if o.spec.Upgrade && o.c.Open != (causeway.OpenID{}) {
		r.Held.Open = o.c.Open
		open = o.e.locks.Upgrade
	}
	held, lease, err := open(ctx, r)
	if err != nil {
		return gateway.Opened{Entry: o.entry}, err
	}
	if empties {
		if err := o.empty(ctx); err != nil {
			o.e.locks.CloseOpen(held.Handle, held.Open)
			return gateway.Opened{Entry: o.entry}, err
		}
	}
	opened := openedOf(&held, lease)
	opened.Entry, opened.Action = o.entry, o.action
	return opened, nil
}

func (o *opening) held() causeway.Held {
	h := causeway.Held{
		Handle: o.entry.Handle, Owner: o.c.Owner, Gateway: o.c.Gateway, Access: o.access, Share: o.spec.Share,
		UID: o.c.Cred.UID, DeleteOnClose: o.spec.DeleteOnClose,
		KeepSeconds: uint32((o.spec.Keep.For + time.Second - 1) / time.Second), GUID: o.spec.Keep.GUID,
	}
	if o.spec.Name != "" {
		h.Dir, h.Name = o.h, string([]byte(o.spec.Name)) // borrowed
	}
	return h
}

func (o *opening) empty(ctx context.Context) error {
	x, err := o.e.touch(ctx, o.c, o.v, o.entry.Handle, causeway.IORead)
	if err != nil {
		return err
	}
	defer x.end()
	if err := x.still(); err != nil {
		return err
	}
	if err := o.v.store.SetStat(ctx, o.entry.Handle.Object, &causeway.SetAttr{Mask: causeway.SetSize}); err != nil {
		return err
	}
	attr, err := o.v.store.Stat(ctx, o.entry.Handle.Object)
	if err == nil {
		o.entry.Attr = attr
		o.e.modified(ctx, o.entry.Handle, gateway.NoticeSize|gateway.NoticeLastWrite)
	}
	return err
}

func openedOf(h *causeway.Held, l lockmgr.LeaseState) gateway.Opened {
	return gateway.Opened{
		Entry: gateway.Entry{Handle: h.Handle}, ID: h.Open, Owner: h.Owner, Access: h.Access, Share: h.Share,
		Lease: gateway.LeaseState(l), Keep: time.Duration(h.KeepSeconds) * time.Second, Delete: h.DeleteOnClose,
		Action: gateway.DidOpen,
	}
}
