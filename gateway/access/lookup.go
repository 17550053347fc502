package access

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// Root implements gateway.Namespace.
func (e *Engine) Root(ctx context.Context, _ *gateway.Caller, id causeway.VolumeID) (gateway.Entry, error) {
	v, err := e.volume(id)
	if err != nil {
		return gateway.Entry{}, err
	}
	h := causeway.Handle{Volume: id, Object: v.store.Root()}
	attr, err := v.store.Stat(ctx, h.Object)
	return gateway.Entry{Handle: h, Attr: attr}, err
}

// Lookup implements gateway.Namespace.
func (e *Engine) Lookup(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string) (gateway.Entry, causeway.Attr, error) {
	v, attr, err := e.statFor(ctx, c, dir)
	if err != nil {
		return gateway.Entry{}, attr, err
	}
	if err := requireDir(c, &attr, causeway.MayExec); err != nil {
		return gateway.Entry{}, attr, err
	}
	if name == "." {
		return gateway.Entry{Handle: dir, Attr: attr}, attr, nil
	}
	if err := checkName(name); err != nil {
		return gateway.Entry{}, attr, err
	}
	if name, err = e.spelt(ctx, c, dir, name); err != nil {
		return gateway.Entry{}, attr, err
	}
	var entry gateway.Entry
	for range lookAgain {
		id, found, err := v.store.Lookup(ctx, dir.Object, name)
		if err != nil {
			return gateway.Entry{}, attr, err
		}
		entry = gateway.Entry{Handle: causeway.Handle{Volume: dir.Volume, Object: id}, Attr: found}
		if !v.shared() {
			return entry, attr, nil
		}
		if err = e.fresh(ctx, v, entry.Handle, &entry.Attr); causeway.CodeOf(err) != causeway.ErrStale {
			return entry, attr, err
		}
	}
	return gateway.Entry{}, attr, causeway.ErrNoEnt
}

// GetAttr implements gateway.Namespace. Attributes are not secret to who holds a handle (RFC 1813 §3.3.1).
func (e *Engine) GetAttr(ctx context.Context, _ *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
	_, attr, err := e.stat(ctx, h)
	return attr, err
}

// Access implements gateway.Namespace.
func (e *Engine) Access(ctx context.Context, c *gateway.Caller, h causeway.Handle, want causeway.Rights) (causeway.Rights, causeway.Attr, error) {
	v, attr, err := e.statFor(ctx, c, h)
	if err != nil {
		return 0, attr, err
	}
	if v.ReadOnly || c.ReadOnly {
		want &^= causeway.MayWrite
	}
	return causeway.Permit(&c.Cred, &attr, want), attr, nil
}

// ReadLink implements gateway.Namespace. A link's own mode restricts nobody.
func (e *Engine) ReadLink(ctx context.Context, _ *gateway.Caller, h causeway.Handle) (string, causeway.Attr, error) {
	v, attr, err := e.stat(ctx, h)
	if err != nil {
		return "", attr, err
	}
	if attr.Type != causeway.TypeSymlink {
		return "", attr, causeway.ErrInval
	}
	target, err := v.store.ReadLink(ctx, h.Object)
	return target, attr, err
}

// ReadDir implements gateway.Namespace. Who may read but not search a directory gets the names alone.
func (e *Engine) ReadDir(ctx context.Context, c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (causeway.Attr, bool, error) {
	v, attr, err := e.statFor(ctx, c, dir)
	if err != nil {
		return attr, false, err
	}
	if err := requireDir(c, &attr, causeway.MayRead); err != nil {
		return attr, false, err
	}
	attrs := want == gateway.WantAttr && causeway.Permit(&c.Cred, &attr, causeway.MayExec) != 0
	if attrs && v.shared() && v.grants.writers.Load() != 0 {
		emit = e.freshly(ctx, v, emit)
	}
	eof, err := v.store.List(ctx, dir.Object, cookie, attrs, emit)
	return attr, eof, err
}

// freshly is emit with attributes that other gateways may be changing.
func (e *Engine) freshly(ctx context.Context, v *volume, emit func(*causeway.DirEntry) bool) func(*causeway.DirEntry) bool {
	return func(x *causeway.DirEntry) bool {
		if x.Object.IsZero() || !x.Attr.Valid() {
			return emit(x)
		}
		y := *x
		if err := e.fresh(ctx, v, causeway.Handle{Volume: v.ID, Object: x.Object}, &y.Attr); err != nil {
			y.Attr = causeway.Attr{}
		}
		return emit(&y)
	}
}

// StatFS implements gateway.Namespace.
func (e *Engine) StatFS(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.FSStat, causeway.Attr, error) {
	v, attr, err := e.stat(ctx, h)
	if err != nil {
		return causeway.FSStat{}, attr, err
	}
	st, err := v.store.StatFS(ctx)
	st.ReadOnly = st.ReadOnly || v.ReadOnly || c.ReadOnly
	return st, attr, err
}
