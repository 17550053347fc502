package access

import (
	"context"
	"errors"

	"causeway"
	"causeway/gateway"
	"causeway/lockmgr"
	"causeway/lockmgr/notify"
)

func byOf(c *gateway.Caller) lockmgr.By { return lockmgr.By{Owner: c.Owner, Open: c.Open} }

// waits is the answer of a change that found a lease in its way. The change was not made: it has let go of what it held, and is
// made again when the lease's holder has given way.
type waits struct {
	h  causeway.Handle
	op lockmgr.Op
}

func (w *waits) Error() string { return "a lease has to be given up first" }

// yield breaks the leases of others that a change of an object conflicts with. It is called when nothing else can refuse the
// change any more. It costs one atomic load where there are no leases.
func (ch *change) yield(ctx context.Context, id causeway.ObjectID, op lockmgr.Op) error {
	h := causeway.Handle{Volume: ch.v.ID, Object: id}
	err := ch.locks.Break(ctx, h, ch.by, op, true)
	if errors.Is(err, causeway.ErrWouldBlock) {
		return &waits{h, op}
	}
	return err
}

// yieldReplaced is yield for what stands at the target of a rename. To an SMB client's rename, what is open does not give way
// ([MS-FSA] 2.1.5.15.11).
func (ch *change) yieldReplaced(ctx context.Context, id causeway.ObjectID) error {
	if id.IsZero() {
		return nil
	}
	if err := ch.yield(ctx, id, lockmgr.OpName); err != nil {
		return err
	}
	if ch.by.Owner.Kind == causeway.OwnerSMB && ch.locks.OpensOn(causeway.Handle{Volume: ch.v.ID, Object: id}) > 0 {
		return causeway.ErrAccess
	}
	return nil
}

func (ch *change) renamed(id causeway.ObjectID, name string, to causeway.ObjectID, newName string) {
	in := func(id causeway.ObjectID) causeway.Handle { return causeway.Handle{Volume: ch.v.ID, Object: id} }
	ch.locks.Renamed(in(id), in(ch.id), name, in(to), newName)
}

// gaveWay waits if that is what a change failed with. It reports whether to make the change again; else err is the change's.
func (e *Engine) gaveWay(ctx context.Context, c *gateway.Caller, err *error) (again bool) {
	w, ok := (*err).(*waits)
	if !ok {
		return false
	}
	*err = e.locks.Break(ctx, w.h, byOf(c), w.op, c.NoWait)
	return *err == nil
}

// entries tells of a change of a directory's entries: leases on it and watches.
func (e *Engine) entries(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, action gateway.NoticeAction, filter gateway.NoticeFilter) {
	// It waits for nobody: what a client has cached of a directory it only reads.
	_ = e.locks.Break(ctx, dir, byOf(c), lockmgr.OpEntries, false)
	e.notice(ctx, dir, notify.Change{Action: uint32(action), Name: name, Filter: uint32(filter)})
}

const anyName = gateway.NoticeFileName | gateway.NoticeDirName

func nameFilter(dir bool) gateway.NoticeFilter {
	if dir {
		return gateway.NoticeDirName
	}
	return gateway.NoticeFileName
}

// Create implements gateway.Namespace.
func (e *Engine) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (entry gateway.Entry, ch causeway.Change, err error) {
	for again := true; again; again = e.gaveWay(ctx, c, &err) {
		entry, ch, err = e.createOnce(ctx, c, dir, name, spec)
	}
	if err == nil {
		e.entries(ctx, c, dir, name, gateway.Added, nameFilter(spec.Type == causeway.TypeDirectory))
	}
	return entry, ch, err
}

// Remove implements gateway.Namespace.
func (e *Engine) Remove(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) (ch causeway.Change, err error) {
	if name, err = e.spelt(ctx, c, dir, name); err != nil {
		return ch, err
	}
	for again := true; again; again = e.gaveWay(ctx, c, &err) {
		ch, err = e.removeOnce(ctx, c, dir, name, kind)
	}
	if err == nil {
		filter := nameFilter(kind == gateway.RemoveDir)
		if kind == gateway.RemoveAny {
			filter = anyName
		}
		e.entries(ctx, c, dir, name, gateway.Removed, filter)
	}
	return ch, err
}

// Rename implements gateway.Namespace.
func (e *Engine) Rename(ctx context.Context, c *gateway.Caller, from causeway.Handle, name string, to causeway.Handle, newName string) (fromDir, toDir causeway.Change, err error) {
	if name, err = e.spelt(ctx, c, from, name); err != nil {
		return fromDir, toDir, err
	}
	if newName, err = e.speltTarget(ctx, c, from, name, to, newName); err != nil {
		return fromDir, toDir, err
	}
	for again := true; again; again = e.gaveWay(ctx, c, &err) {
		fromDir, toDir, err = e.renameOnce(ctx, c, from, name, to, newName)
	}
	if err != nil {
		return fromDir, toDir, err
	}
	e.watches.forget()
	if from == to {
		e.entries(ctx, c, from, name, gateway.RenamedFrom, anyName)
		e.entries(ctx, c, to, newName, gateway.RenamedTo, anyName)
	} else {
		e.entries(ctx, c, from, name, gateway.Removed, anyName)
		e.entries(ctx, c, to, newName, gateway.Added, anyName)
	}
	return fromDir, toDir, nil
}

// SetAttr implements gateway.Namespace.
func (e *Engine) SetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (ch causeway.Change, err error) {
	for again := true; again; again = e.gaveWay(ctx, c, &err) {
		ch, err = e.setAttrOnce(ctx, c, h, set, guard)
	}
	if err == nil && e.notices.Any() {
		e.modified(ctx, h, filterOf(set))
	}
	return ch, err
}

func filterOf(set *causeway.SetAttr) (f gateway.NoticeFilter) {
	for _, m := range []struct {
		mask   causeway.SetMask
		filter gateway.NoticeFilter
	}{
		{causeway.SetSize, gateway.NoticeSize | gateway.NoticeLastWrite},
		{causeway.SetMtime | causeway.SetMtimeNow, gateway.NoticeLastWrite},
		{causeway.SetAtime | causeway.SetAtimeNow, gateway.NoticeLastAccess},
		{causeway.SetMode, gateway.NoticeAttributes | gateway.NoticeSecurity},
		{causeway.SetUID | causeway.SetGID | causeway.SetACL | causeway.SetDefaultACL, gateway.NoticeSecurity},
	} {
		if set.Has(m.mask) {
			f |= m.filter
		}
	}
	return f
}

// Link implements gateway.Namespace.
func (e *Engine) Link(ctx context.Context, c *gateway.Caller, h, dir causeway.Handle, name string) (attr causeway.Attr, ch causeway.Change, err error) {
	for again := true; again; again = e.gaveWay(ctx, c, &err) {
		attr, ch, err = e.linkOnce(ctx, c, h, dir, name)
	}
	if err == nil {
		e.entries(ctx, c, dir, name, gateway.Added, gateway.NoticeFileName)
	}
	return attr, ch, err
}

// Admit implements gateway.Guard.
func (e *Engine) Admit(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span, write bool) error {
	v, err := e.volume(h.Volume)
	if err != nil {
		return err
	}
	return e.locks.Admit(ctx, h, byOf(c), s, write, v.Mandatory, c.NoWait)
}
