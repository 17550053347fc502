package access

import (
	"context"
	"encoding/binary"
	"errors"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/lockmgr"
)

// createOnce is one try of Create, see gaveWay.
func (e *Engine) createOnce(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	v, err := e.volume(dir.Volume)
	if err != nil {
		return gateway.Entry{}, causeway.Change{}, err
	}
	if c.NoWait && !v.Async && c.Later == nil {
		return gateway.Entry{}, causeway.Change{}, causeway.ErrWouldBlock
	}
	ch, err := e.begin(ctx, c, v, dir)
	if err != nil {
		return gateway.Entry{}, causeway.Change{}, err
	}
	entry, err := func() (gateway.Entry, error) {
		defer e.holdName(v, dir, name)()
		held := e.sticky.hold(false, &ch)
		defer held.release()
		name, err := e.spelt(ctx, c, dir, name)
		if err != nil {
			return gateway.Entry{}, err
		}
		return e.create(ctx, c, &ch, name, spec)
	}()
	result := ch.end(ctx)
	if err != nil {
		return entry, result, err
	}
	e.made(v, dir, &result, name)
	entry.Handle.Volume = dir.Volume
	return entry, result, v.persist(ctx, c, dir.Object, entry.Handle.Object)
}

func (e *Engine) create(ctx context.Context, c *gateway.Caller, ch *change, name string, spec *gateway.CreateSpec) (gateway.Entry, error) {
	if err := requireDir(c, &ch.before, causeway.MayExec); err != nil {
		return gateway.Entry{}, err
	}
	if err := checkNewName(name); err != nil {
		return gateway.Entry{}, err
	}
	// Twice, because between "no such entry" and "exists" another one may have made it.
	for range 2 {
		entry, err := e.takeExisting(ctx, c, ch, name, spec)
		if err == nil || !errors.Is(err, causeway.ErrNoEnt) {
			return entry, err
		}
		if entry, err = makeNew(ctx, c, ch, name, spec); !errors.Is(err, causeway.ErrExist) {
			return entry, err
		}
	}
	return gateway.Entry{}, causeway.ErrExist
}

// takeExisting answers for a name that exists; ErrNoEnt if it does not.
func (e *Engine) takeExisting(ctx context.Context, c *gateway.Caller, ch *change, name string, spec *gateway.CreateSpec) (gateway.Entry, error) {
	id, attr, err := ch.v.store.Lookup(ctx, ch.id, name)
	if err != nil {
		return gateway.Entry{}, err
	}
	if h := (causeway.Handle{Volume: ch.v.ID, Object: id}); ch.v.shared() {
		if c.NoWait && ch.v.asks(h) {
			return gateway.Entry{}, causeway.ErrWouldBlock
		}
		err := e.fresh(ctx, ch.v, h, &attr)
		if causeway.CodeOf(err) == causeway.ErrStale {
			err = causeway.ErrNoEnt // not any more
		}
		if err != nil {
			return gateway.Entry{}, err
		}
	}
	entry := gateway.Entry{Handle: causeway.Handle{Object: id}, Attr: attr}
	if spec.Type != causeway.TypeRegular || spec.How == gateway.Guarded || attr.Type != causeway.TypeRegular {
		return gateway.Entry{}, causeway.ErrExist
	}
	if spec.How == gateway.Exclusive {
		if atime, mtime := verifierTimes(spec.Verifier); attr.Atime.Sec != atime.Sec || attr.Mtime.Sec != mtime.Sec {
			return gateway.Entry{}, causeway.ErrExist
		}
		return entry, nil
	}
	if !spec.Set.Has(causeway.SetSize) || spec.Set.Size == attr.Size {
		return entry, nil
	}
	if err := backend.LoadACL(ctx, ch.v.store, id, &c.Cred, &attr); err != nil {
		return entry, err
	}
	switch {
	case c.ReadOnly || ch.v.ReadOnly:
		return entry, causeway.ErrROFS
	case causeway.PermitOwner(&c.Cred, &attr, causeway.MayWrite) == 0:
		return entry, causeway.ErrAccess
	}
	if err := ch.yield(ctx, id, lockmgr.OpWrite); err != nil {
		return entry, err
	}
	x, err := e.touch(ctx, c, ch.v, causeway.Handle{Volume: ch.v.ID, Object: id}, causeway.IORead)
	if err != nil {
		return entry, err
	}
	defer x.end()
	if err := ch.still(); err != nil {
		return entry, err
	}
	if err := ch.v.store.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetSize, Size: spec.Set.Size}); err != nil {
		return entry, err
	}
	entry.Attr, err = ch.v.store.Stat(ctx, id)
	return entry, err
}

func makeNew(ctx context.Context, c *gateway.Caller, ch *change, name string, spec *gateway.CreateSpec) (gateway.Entry, error) {
	if err := ch.v.mayChange(c); err != nil {
		return gateway.Entry{}, err
	}
	if err := require(c, &ch.before, causeway.MayWrite|causeway.MayExec); err != nil {
		return gateway.Entry{}, err
	}
	make, rest, err := birth(c, &ch.before, spec)
	if err != nil {
		return gateway.Entry{}, err
	}
	if err := ch.still(); err != nil {
		return gateway.Entry{}, err
	}
	id, attr, err := ch.v.store.Create(ctx, ch.id, name, &make)
	if err != nil {
		return gateway.Entry{}, err
	}
	if rest.Mask != 0 {
		if err := ch.v.store.SetStat(ctx, id, &rest); err != nil {
			return gateway.Entry{}, errors.Join(err, ch.v.store.Remove(ctx, ch.id, name, spec.Type == causeway.TypeDirectory))
		}
		if attr, err = ch.v.store.Stat(ctx, id); err != nil {
			return gateway.Entry{}, err
		}
	}
	return gateway.Entry{Handle: causeway.Handle{Object: id}, Attr: attr}, nil
}

// birth decides owner, group and mode of a new object (POSIX open, mkdir; a setgid directory hands its group down), and what
// is left to set after its creation.
func birth(c *gateway.Caller, dir *causeway.Attr, spec *gateway.CreateSpec) (backend.CreateSpec, causeway.SetAttr, error) {
	b := backend.CreateSpec{Type: spec.Type, UID: c.Cred.UID, GID: c.Cred.GID, Target: spec.Target, Major: spec.Major, Minor: spec.Minor}
	if (spec.Type == causeway.TypeBlock || spec.Type == causeway.TypeChar) && c.Cred.UID != 0 {
		return b, causeway.SetAttr{}, causeway.ErrPerm // it would open the host's devices to whoever may log in there
	}
	if dir.Mode&causeway.ModeSetGID != 0 {
		b.GID = dir.GID
	}
	if spec.How == gateway.Exclusive && spec.Type == causeway.TypeRegular {
		atime, mtime := verifierTimes(spec.Verifier)
		b.Atime, b.Mtime = &atime, &mtime
		return b, causeway.SetAttr{}, nil
	}
	set, root := &spec.Set, c.Cred.UID == 0
	if namesNobody(set) {
		return b, causeway.SetAttr{}, causeway.ErrInval
	}
	if set.Has(causeway.SetUID) && set.UID != b.UID {
		if !root {
			return b, causeway.SetAttr{}, causeway.ErrPerm
		}
		b.UID = set.UID
	}
	if set.Has(causeway.SetGID) && set.GID != b.GID {
		if !root && !c.Cred.InGroup(set.GID) {
			return b, causeway.SetAttr{}, causeway.ErrPerm
		}
		b.GID = set.GID
	}
	if set.Has(causeway.SetMode) {
		b.Mode = set.Mode & causeway.ModeAll
	}
	if !root && !c.Cred.InGroup(b.GID) && spec.Type != causeway.TypeDirectory {
		b.Mode &^= causeway.ModeSetGID
	}
	if spec.Type == causeway.TypeDirectory && dir.Mode&causeway.ModeSetGID != 0 {
		b.Mode |= causeway.ModeSetGID
	}
	if spec.Type == causeway.TypeSymlink {
		b.Mode = causeway.ModePerm
	}
	rest := *set
	rest.Mask &= causeway.SetSize | causeway.SetAtime | causeway.SetMtime | causeway.SetAtimeNow | causeway.SetMtimeNow | causeway.SetACL | causeway.SetDefaultACL
	if spec.Type != causeway.TypeRegular || rest.Size == 0 {
		rest.Mask &^= causeway.SetSize
	}
	if spec.Type == causeway.TypeSymlink {
		rest.Mask = 0
	}
	return b, rest, nil
}

// verifierTimes hides an exclusive create's verifier in the times of the new file, where it survives a restart
// (RFC 1813 §3.3.8). The topmost bits are dropped: not all storage has times beyond 2038.
func verifierTimes(v causeway.Verifier) (atime, mtime causeway.Time) {
	const mask = 1<<31 - 1
	return causeway.Time{Sec: int64(binary.BigEndian.Uint32(v[:4]) & mask)}, causeway.Time{Sec: int64(binary.BigEndian.Uint32(v[4:]) & mask)}
}
