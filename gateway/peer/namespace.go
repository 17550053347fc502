package peer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// call is a call of one caller whose reply is an ordinary result.
func (r *Router) call(ctx context.Context, c *gateway.Caller, v causeway.VolumeID, near bool, to *wire.Result, local func() error, remote func() *peerpb.Request) error {
	return r.route(ctx, &asked{
		volume: v, noWait: c.NoWait, near: near, op: c.Op, life: c.Life, local: local, remote: remote,
		accept: func(m *peerpb.Reply) (err error) {
			*to, err = wire.ResultOf(m, v)
			return err
		},
	})
}

// Root implements gateway.Namespace.
func (r *Router) Root(ctx context.Context, c *gateway.Caller, v causeway.VolumeID) (gateway.Entry, error) {
	var to wire.Result
	err := r.call(ctx, c, v, true, &to, func() (err error) {
		to.Entry, err = r.local.Root(ctx, c, v)
		return err
	}, func() *peerpb.Request { return wire.About(peerpb.Op_ROOT, c, causeway.Handle{Volume: v}) })
	return to.Entry, err
}

// Lookup implements gateway.Namespace.
func (r *Router) Lookup(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string) (gateway.Entry, causeway.Attr, error) {
	var to wire.Result
	err := r.call(ctx, c, dir.Volume, true, &to, func() (err error) {
		to.Entry, to.Dir, err = r.local.Lookup(ctx, c, dir, name)
		return err
	}, func() *peerpb.Request { return wire.Named(peerpb.Op_LOOKUP, c, dir, name) })
	return to.Entry, to.Dir, err
}

// GetAttr implements gateway.Namespace.
func (r *Router) GetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
	var to wire.Result
	err := r.call(ctx, c, h.Volume, true, &to, func() (err error) {
		to.Entry.Attr, err = r.local.GetAttr(ctx, c, h)
		return err
	}, func() *peerpb.Request { return wire.About(peerpb.Op_GETATTR, c, h) })
	return to.Entry.Attr, err
}

// Access implements gateway.Namespace.
func (r *Router) Access(ctx context.Context, c *gateway.Caller, h causeway.Handle, want causeway.Rights) (causeway.Rights, causeway.Attr, error) {
	var to wire.Result
	err := r.call(ctx, c, h.Volume, true, &to, func() (err error) {
		to.Rights, to.Entry.Attr, err = r.local.Access(ctx, c, h, want)
		return err
	}, func() *peerpb.Request {
		m := wire.About(peerpb.Op_ACCESS, c, h)
		m.Arg = uint32(want)
		return m
	})
	return to.Rights, to.Entry.Attr, err
}

// SetAttr implements gateway.Namespace.
func (r *Router) SetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error) {
	var to wire.Result
	err := r.call(ctx, c, h.Volume, false, &to, func() (err error) {
		to.Change, err = r.local.SetAttr(ctx, c, h, set, guard)
		return err
	}, func() *peerpb.Request { return wire.SetAttr(c, h, set, guard) })
	return to.Change, err
}

// ReadLink implements gateway.Namespace.
func (r *Router) ReadLink(ctx context.Context, c *gateway.Caller, h causeway.Handle) (string, causeway.Attr, error) {
	var to wire.Result
	err := r.call(ctx, c, h.Volume, true, &to, func() (err error) {
		to.Target, to.Entry.Attr, err = r.local.ReadLink(ctx, c, h)
		return err
	}, func() *peerpb.Request { return wire.About(peerpb.Op_READLINK, c, h) })
	return to.Target, to.Entry.Attr, err
}

// Create implements gateway.Namespace.
func (r *Router) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	var to wire.Result
	var take func(*causeway.Grant)
	err := r.call(ctx, c, dir.Volume, false, &to, func() (err error) {
		to.Entry, to.Change, err = r.local.Create(ctx, c, dir, name, spec)
		return err
	}, func() *peerpb.Request {
		m := wire.Create(c, dir, name, spec)
		if r.cfg.Taker != nil && spec.Type == causeway.TypeRegular {
			if take = r.cfg.Taker.Expect(dir.Volume); take != nil {
				wire.WithGrant(m)
			}
		}
		return m
	})
	if err == nil && take != nil && to.Grant != nil {
		take(to.Grant)
	}
	return to.Entry, to.Change, err
}

// Remove implements gateway.Namespace.
func (r *Router) Remove(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) (causeway.Change, error) {
	var to wire.Result
	err := r.call(ctx, c, dir.Volume, false, &to, func() (err error) {
		to.Change, err = r.local.Remove(ctx, c, dir, name, kind)
		return err
	}, func() *peerpb.Request {
		m := wire.Named(peerpb.Op_REMOVE, c, dir, name)
		m.Arg = uint32(kind)
		return m
	})
	return to.Change, err
}

// Rename implements gateway.Namespace.
func (r *Router) Rename(ctx context.Context, c *gateway.Caller, from causeway.Handle, name string, to causeway.Handle, newName string) (causeway.Change, causeway.Change, error) {
	if from.Volume != to.Volume {
		return causeway.Change{}, causeway.Change{}, causeway.ErrXDev
	}
	var result wire.Result
	err := r.call(ctx, c, from.Volume, false, &result, func() (err error) {
		result.Change, result.Change2, err = r.local.Rename(ctx, c, from, name, to, newName)
		return err
	}, func() *peerpb.Request { return wire.Two(peerpb.Op_RENAME, c, from, name, to, newName) })
	return result.Change, result.Change2, err
}

// Link implements gateway.Namespace.
func (r *Router) Link(ctx context.Context, c *gateway.Caller, h, dir causeway.Handle, name string) (causeway.Attr, causeway.Change, error) {
	if h.Volume != dir.Volume {
		return causeway.Attr{}, causeway.Change{}, causeway.ErrXDev
	}
	var to wire.Result
	err := r.call(ctx, c, h.Volume, false, &to, func() (err error) {
		to.Entry.Attr, to.Change, err = r.local.Link(ctx, c, h, dir, name)
		return err
	}, func() *peerpb.Request { return wire.Two(peerpb.Op_LINK, c, h, name, dir, "") })
	return to.Entry.Attr, to.Change, err
}

// StatFS implements gateway.Namespace.
func (r *Router) StatFS(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.FSStat, causeway.Attr, error) {
	var to wire.Result
	err := r.call(ctx, c, h.Volume, true, &to, func() (err error) {
		to.Stat, to.Entry.Attr, err = r.local.StatFS(ctx, c, h)
		return err
	}, func() *peerpb.Request { return wire.About(peerpb.Op_STATFS, c, h) })
	return to.Stat, to.Entry.Attr, err
}

// firstEntries is how many entries are asked for first: many listings want no more, and few that want more are small.
const firstEntries = 64

// ReadDir implements gateway.Namespace. A long listing takes several questions, and may be answered by several owners.
func (r *Router) ReadDir(ctx context.Context, c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (attr causeway.Attr, eof bool, err error) {
	for count := firstEntries; ; count = min(4*count, wire.MaxEntries) {
		var at uint64
		var to wire.Result
		consumed, given, here := 0, 0, false
		err := r.route(ctx, &asked{
			volume: dir.Volume, noWait: c.NoWait, near: true, life: c.Life,
			local: func() (err error) {
				here = true
				to.Dir, to.EOF, err = r.local.ReadDir(ctx, c, dir, cookie, want, func(e *causeway.DirEntry) bool {
					ok := emit(e)
					if ok {
						cookie = e.Cookie
					}
					return ok
				})
				return err
			},
			remote: func() *peerpb.Request { return wire.ReadDir(c, dir, cookie, want, count) },
			accept: func(m *peerpb.Reply) (err error) {
				here = false
				if to, err = wire.ResultOf(m, dir.Volume); err != nil {
					return err
				}
				given = len(m.Entries)
				consumed, at, err = wire.Entries(m, emit)
				return err
			},
		})
		if !attr.Valid() {
			attr = to.Dir
		}
		if err != nil || here {
			return attr, to.EOF, err
		}
		if consumed > 0 {
			cookie = at
		}
		if consumed < given || to.EOF || given == 0 {
			return attr, to.EOF && consumed == given, nil
		}
	}
}
