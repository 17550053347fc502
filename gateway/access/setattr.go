package access

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/lockmgr"
)

// setAttrOnce is one try of SetAttr, see gaveWay.
func (e *Engine) setAttrOnce(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error) {
	v, err := e.volume(h.Volume)
	if err != nil {
		return causeway.Change{}, err
	}
	if err := v.mayChange(c); err != nil {
		return causeway.Change{}, err
	}
	keep := causeway.IOReadWrite
	if set.Has(causeway.SetSize) {
		keep = causeway.IORead // a write that is under way elsewhere ends before the file is cut, or fails
	}
	ch, err := e.beginKeeping(ctx, c, v, h, keep)
	if err != nil {
		return causeway.Change{}, err
	}
	err = setAttr(ctx, c, &ch, set, guard)
	result := ch.end(ctx)
	if err == nil {
		err = v.persist(ctx, c, h.Object)
	}
	return result, err
}

func setAttr(ctx context.Context, c *gateway.Caller, ch *change, set *causeway.SetAttr, guard *causeway.Time) error {
	if guard != nil && ch.before.Ctime != *guard {
		return causeway.ErrNotSync
	}
	allowed := *set
	if err := maySet(c, &ch.before, &allowed); err != nil {
		return err
	}
	if allowed.Mask == 0 {
		return nil
	}
	if allowed.Has(causeway.SetSize) {
		if err := ch.yield(ctx, ch.id, lockmgr.OpWrite); err != nil {
			return err
		}
	}
	if err := ch.still(); err != nil {
		return err
	}
	return ch.v.store.SetStat(ctx, ch.id, &allowed)
}

// maySet decides whether the caller may change these attributes as POSIX chmod, chown, truncate and utimensat have it, and
// takes out of set what is silently not done.
func maySet(c *gateway.Caller, a *causeway.Attr, set *causeway.SetAttr) error {
	root, owner := c.Cred.UID == 0, c.Cred.UID == a.UID
	if namesNobody(set) {
		return causeway.ErrInval
	}
	if set.Has(causeway.SetSize) {
		if err := maySetSize(c, a); err != nil {
			return err
		}
	}
	if set.Has(causeway.SetUID) && !root && (set.UID != a.UID || !owner) {
		return causeway.ErrPerm
	}
	if set.Has(causeway.SetGID) && !root && (!owner || set.GID != a.GID && !c.Cred.InGroup(set.GID)) {
		return causeway.ErrPerm
	}
	if set.Has(causeway.SetMode | causeway.SetACL | causeway.SetDefaultACL) {
		if !root && !owner {
			return causeway.ErrPerm
		}
		gid := a.GID
		if set.Has(causeway.SetGID) {
			gid = set.GID
		}
		if !root && !c.Cred.InGroup(gid) {
			set.Mode &^= causeway.ModeSetGID
		}
	}
	return maySetTimes(c, a, set)
}

// namesNobody reports an owner or group that would leave the object with the one that it has, whatever was decided for it.
func namesNobody(set *causeway.SetAttr) bool {
	return set.Has(causeway.SetUID) && set.UID == causeway.NoID || set.Has(causeway.SetGID) && set.GID == causeway.NoID
}

// maySetSize: the owner may truncate what he has open for writing, whatever the mode says by now (RFC 1813 §4.4).
func maySetSize(c *gateway.Caller, a *causeway.Attr) error {
	switch {
	case a.Type == causeway.TypeDirectory:
		return causeway.ErrIsDir
	case a.Type != causeway.TypeRegular:
		return causeway.ErrInval
	case causeway.PermitOwner(&c.Cred, a, causeway.MayWrite) == 0:
		return causeway.ErrAccess
	}
	return nil
}

// maySetTimes: the owner may set any times; who may write may set both to now, and no others.
func maySetTimes(c *gateway.Caller, a *causeway.Attr, set *causeway.SetAttr) error {
	if c.Cred.UID == 0 || c.Cred.UID == a.UID || !set.Has(causeway.SetAtime|causeway.SetMtime|causeway.SetAtimeNow|causeway.SetMtimeNow) {
		return nil
	}
	explicit := set.Has(causeway.SetAtime) && !set.Has(causeway.SetAtimeNow) || set.Has(causeway.SetMtime) && !set.Has(causeway.SetMtimeNow)
	switch {
	case explicit:
		return causeway.ErrPerm
	case causeway.Permit(&c.Cred, a, causeway.MayWrite) == 0:
		return causeway.ErrAccess
	}
	return nil
}
