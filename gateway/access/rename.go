package access

import (
	"context"
	"errors"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
	"causeway/lockmgr"
)

// renameOnce is one try of Rename, see gaveWay.
func (e *Engine) renameOnce(ctx context.Context, c *gateway.Caller, from causeway.Handle, name string, to causeway.Handle, newName string) (causeway.Change, causeway.Change, error) {
	if from.Volume != to.Volume {
		return causeway.Change{}, causeway.Change{}, causeway.ErrXDev
	}
	v, err := e.volume(from.Volume)
	if err != nil {
		return causeway.Change{}, causeway.Change{}, err
	}
	if err := v.mayChange(c); err != nil {
		return causeway.Change{}, causeway.Change{}, err
	}
	src, err := e.begin(ctx, c, v, from)
	if err != nil {
		return causeway.Change{}, causeway.Change{}, err
	}
	dst := src
	if to != from {
		if dst, err = e.begin(ctx, c, v, to); err != nil {
			return src.end(ctx), causeway.Change{}, err
		}
	}
	gone, err := e.renameHolding(ctx, c, false, &src, name, &dst, newName)
	if errors.Is(err, errOneObject) {
		gone, err = e.renameHolding(ctx, c, true, &src, name, &dst, newName)
	}
	srcChange := src.end(ctx)
	dstChange := srcChange
	if to != from {
		dstChange = dst.end(ctx)
	}
	if err != nil {
		return srcChange, dstChange, err
	}
	e.released(ctx, v, gone)
	if to == from {
		return srcChange, dstChange, v.persist(ctx, c, from.Object)
	}
	return srcChange, dstChange, v.persist(ctx, c, to.Object, from.Object)
}

// errOneObject says that both names of a rename stand for one object: rename(2) does nothing then. But another rename may have made the one
// of the other meanwhile, so that is decided when no change of names runs beside.
var errOneObject = errors.New("both names are one object's")

func (e *Engine) renameHolding(ctx context.Context, c *gateway.Caller, alone bool, src *change, name string, dst *change, newName string) (victim, error) {
	from, to := causeway.Handle{Volume: src.v.ID, Object: src.id}, causeway.Handle{Volume: dst.v.ID, Object: dst.id}
	defer e.holdName(src.v, to, newName)()
	held := e.sticky.hold(alone, src, dst)
	defer held.release()
	newName, err := e.speltTarget(ctx, c, from, name, to, newName)
	if err != nil {
		return victim{}, err
	}
	return e.rename(ctx, c, alone, src, name, dst, newName)
}

func (e *Engine) rename(ctx context.Context, c *gateway.Caller, alone bool, src *change, name string, dst *change, newName string) (victim, error) {
	for _, dir := range []*causeway.Attr{&src.before, &dst.before} {
		if err := requireDir(c, dir, causeway.MayExec); err != nil {
			return victim{}, err
		}
	}
	for _, n := range []string{name, newName} {
		if err := checkOldName(n); err != nil {
			return victim{}, err
		}
	}
	id, attr, err := src.v.store.Lookup(ctx, src.id, name)
	if err != nil {
		return victim{}, err
	}
	if err := mayUnname(c, &src.before, &attr); err != nil {
		return victim{}, err
	}
	gone, err := mayReplace(ctx, c, dst, newName, &attr)
	if err != nil {
		return victim{}, err
	}
	if gone.id == id {
		if !alone {
			return victim{}, errOneObject
		}
		return victim{}, nil
	}
	if attr.Type == causeway.TypeDirectory && src.id != dst.id {
		if err := backend.LoadACL(ctx, src.v.store, id, &c.Cred, &attr); err != nil {
			return victim{}, err
		}
		if err := require(c, &attr, causeway.MayWrite); err != nil { // its ".." changes
			return victim{}, err
		}
	}
	in := func(id causeway.ObjectID) causeway.Handle { return causeway.Handle{Volume: src.v.ID, Object: id} }
	if err := e.mayMove(ctx, c, src.v, in(id), attr.Type == causeway.TypeDirectory, in(dst.id)); err != nil {
		return victim{}, err
	}
	if err := src.yield(ctx, id, lockmgr.OpName); err != nil {
		return victim{}, err
	}
	if err := e.maySever(c, src.v, in(id)); err != nil {
		return victim{}, err
	}
	if err := src.yieldReplaced(ctx, gone.id); err != nil {
		return victim{}, err
	}
	if err := e.maySever(c, src.v, in(gone.id)); err != nil {
		return victim{}, err
	}
	x, err := e.touchEntry(ctx, c, src.v, id)
	if err != nil {
		return victim{}, err
	}
	defer x.end()
	if !gone.id.IsZero() {
		y, err := e.touchEntry(ctx, c, src.v, gone.id)
		if err != nil {
			return victim{}, err
		}
		defer y.end()
	}
	if err := src.still(); err != nil {
		return victim{}, err
	}
	if err := src.v.store.Rename(ctx, src.id, name, dst.id, newName); err != nil {
		return gone, err
	}
	src.renamed(id, name, dst.id, newName)
	return gone, nil
}

// mayReplace decides whether the caller may make name in dst for an object like moved, replacing what stands there.
func mayReplace(ctx context.Context, c *gateway.Caller, dst *change, name string, moved *causeway.Attr) (victim, error) {
	id, attr, err := dst.v.store.Lookup(ctx, dst.id, name)
	switch {
	case errors.Is(err, causeway.ErrNoEnt):
		return victim{}, require(c, &dst.before, causeway.MayWrite|causeway.MayExec)
	case err != nil:
		return victim{}, err
	}
	if err := mayUnname(c, &dst.before, &attr); err != nil {
		return victim{}, err
	}
	from, onto := moved.Type == causeway.TypeDirectory, attr.Type == causeway.TypeDirectory
	switch {
	case from && !onto:
		return victim{}, causeway.ErrNotDir
	case onto && !from:
		return victim{}, causeway.ErrIsDir
	}
	return victim{id, attr}, nil
}
