package access

import (
	"context"
	"math"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/access/grants"
	"causeway/lockmgr"
)

// removeOnce is one try of Remove, see gaveWay.
func (e *Engine) removeOnce(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) (causeway.Change, error) {
	v, err := e.volume(dir.Volume)
	if err != nil {
		return causeway.Change{}, err
	}
	if err := v.mayChange(c); err != nil {
		return causeway.Change{}, err
	}
	ch, err := e.begin(ctx, c, v, dir)
	if err != nil {
		return causeway.Change{}, err
	}
	gone, err := func() (victim, error) {
		held := e.sticky.hold(false, &ch)
		defer held.release()
		return e.remove(ctx, c, &ch, name, kind)
	}()
	result := ch.end(ctx)
	if err != nil {
		return result, err
	}
	e.gone(v, dir, &result, name)
	e.released(ctx, v, gone)
	return result, v.persist(ctx, c, dir.Object)
}

// victim is an object that a change of names unnamed.
type victim struct {
	id   causeway.ObjectID
	attr causeway.Attr
}

func (e *Engine) remove(ctx context.Context, c *gateway.Caller, ch *change, name string, kind gateway.RemoveKind) (victim, error) {
	if err := requireDir(c, &ch.before, causeway.MayExec); err != nil {
		return victim{}, err
	}
	if err := checkOldName(name); err != nil {
		return victim{}, err
	}
	id, attr, err := ch.v.store.Lookup(ctx, ch.id, name)
	if err != nil {
		return victim{}, err
	}
	if err := mayUnname(c, &ch.before, &attr); err != nil {
		return victim{}, err
	}
	isDir := attr.Type == causeway.TypeDirectory
	switch {
	case kind == gateway.RemoveFile && isDir:
		return victim{}, causeway.ErrIsDir
	case kind == gateway.RemoveDir && !isDir:
		return victim{}, causeway.ErrNotDir
	}
	if err := ch.yield(ctx, id, lockmgr.OpName); err != nil {
		return victim{}, err
	}
	h := causeway.Handle{Volume: ch.v.ID, Object: id}
	if c.Owner.Kind == causeway.OwnerSMB && e.openedByOthers(c, h) {
		return victim{}, causeway.ErrAccess // he dooms what he has open himself
	}
	if err := e.maySever(c, ch.v, h); err != nil {
		return victim{}, err
	}
	x, err := e.touchEntry(ctx, c, ch.v, id)
	if err != nil {
		return victim{}, err
	}
	defer x.end()
	if err := ch.still(); err != nil {
		return victim{}, err
	}
	return victim{id, attr}, ch.v.store.Remove(ctx, ch.id, name, isDir)
}

// openedByOthers reports whether an object is open, but for the open through which the caller asks.
func (e *Engine) openedByOthers(c *gateway.Caller, h causeway.Handle) bool {
	n := e.locks.OpensOn(h)
	if n == 1 && e.mine(c, h, c.Open) == nil {
		n = 0
	}
	return n > 0
}

// mayUnname decides whether the caller may take an entry out of dir: he needs to write it, and in a sticky directory to own
// the entry or the directory.
func mayUnname(c *gateway.Caller, dir, entry *causeway.Attr) error {
	if err := require(c, dir, causeway.MayWrite|causeway.MayExec); err != nil {
		return err
	}
	uid := c.Cred.UID
	if dir.Mode&causeway.ModeSticky != 0 && uid != 0 && uid != dir.UID && uid != entry.UID {
		return causeway.ErrPerm
	}
	return nil
}

// released ends the grants of an object that lost its last name: an open descriptor would keep its space. Nobody waits for
// other gateways, since the removal itself has been done.
func (e *Engine) released(ctx context.Context, v *volume, gone victim) {
	if gone.attr.Type != causeway.TypeRegular || gone.attr.Nlink > 1 {
		return
	}
	h := causeway.Handle{Volume: v.ID, Object: gone.id}
	if v.grants != nil && v.grants.foreign.Load() != 0 {
		v.grants.step(func(now time.Duration, table *grants.Table) { table.RecallObject(now, h) })
	}
	if e.cfg.Holder != nil {
		_, _ = e.cfg.Holder.Recall(ctx, &gateway.Recall{Handle: h, Epoch: v.epoch, Seq: math.MaxUint64, Gone: true})
	}
}
