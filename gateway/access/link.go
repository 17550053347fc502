package access

import (
	"context"
	"errors"

	"causeway"
	"causeway/gateway"
	"causeway/lockmgr"
)

// linkOnce is one try of Link, see gaveWay.
func (e *Engine) linkOnce(ctx context.Context, c *gateway.Caller, h, dir causeway.Handle, name string) (causeway.Attr, causeway.Change, error) {
	if h.Volume != dir.Volume {
		return causeway.Attr{}, causeway.Change{}, causeway.ErrXDev
	}
	v, attr, err := e.stat(ctx, h)
	if err != nil {
		return attr, causeway.Change{}, err
	}
	if err := v.mayChange(c); err != nil {
		return attr, causeway.Change{}, err
	}
	ch, err := e.begin(ctx, c, v, dir)
	if err != nil {
		return attr, causeway.Change{}, err
	}
	err = func() error {
		defer e.holdName(v, dir, name)()
		held := e.sticky.hold(false, &ch)
		defer held.release()
		name, err := e.spelt(ctx, c, dir, name)
		if err != nil {
			return err
		}
		return e.link(ctx, c, &ch, h.Object, &attr, name)
	}()
	result := ch.end(ctx)
	if now, statErr := v.store.Stat(ctx, h.Object); statErr == nil {
		attr = now
	}
	if err != nil {
		return attr, result, err
	}
	e.made(v, dir, &result, name)
	return attr, result, v.persist(ctx, c, dir.Object, h.Object)
}

func (e *Engine) link(ctx context.Context, c *gateway.Caller, ch *change, id causeway.ObjectID, attr *causeway.Attr, name string) error {
	if err := requireDir(c, &ch.before, causeway.MayExec); err != nil {
		return err
	}
	if err := checkNewName(name); err != nil {
		return err
	}
	if _, _, err := ch.v.store.Lookup(ctx, ch.id, name); !errors.Is(err, causeway.ErrNoEnt) {
		if err == nil {
			return causeway.ErrExist
		}
		return err
	}
	if err := require(c, &ch.before, causeway.MayWrite|causeway.MayExec); err != nil {
		return err
	}
	if attr.Type == causeway.TypeDirectory {
		return causeway.ErrPerm
	}
	if err := ch.yield(ctx, id, lockmgr.OpName); err != nil {
		return err
	}
	x, err := e.touchEntry(ctx, c, ch.v, id)
	if err != nil {
		return err
	}
	defer x.end()
	if err := ch.still(); err != nil {
		return err
	}
	return ch.v.store.Link(ctx, id, ch.id, name)
}
