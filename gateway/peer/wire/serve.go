package wire

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// call is a request, decoded as far as all have it in common.
type call struct {
	decoder
	ctx    context.Context
	access gateway.Access

	stateful gateway.Stateful
	r        *peerpb.Request
	by       *gateway.Caller
	h, h2    causeway.Handle
	name     string
}

func newCall(ctx context.Context, a gateway.Access, from string, r *peerpb.Request) *call {
	c := &call{ctx: ctx, access: a, r: r}
	c.by = c.caller(r.Caller)
	c.by.Gateway = from
	c.h = causeway.Handle{Volume: causeway.VolumeID(r.Volume), Object: c.object(r.Object)}
	c.h2 = causeway.Handle{Volume: c.h.Volume, Object: c.object(r.Object2)}
	c.name = c.decoder.name(r.Name, maxName)
	return c
}

// Begin executes a request for which Prompt is true. later is what its reply has to wait for (gateway.Caller.Later); ok is false where
// the change itself would have to wait for something, and was not made.
func Begin(ctx context.Context, a gateway.Access, from string, r *peerpb.Request, later *gateway.Pending) (reply *peerpb.Reply, ok bool) {
	c := newCall(ctx, a, from, r)
	c.by.NoWait, c.by.Later = true, later
	run := operations[r.Op]
	if c.bad || run == nil && r.Op != peerpb.Op_GRANT {
		return Failed(causeway.ErrInval), true
	}
	if r.Op == peerpb.Op_GRANT {
		reply = c.grantNow()
		return reply, reply.Code != uint32(causeway.ErrWouldBlock)
	}
	var result Result
	err := run(c, &result)
	if causeway.CodeOf(err) == causeway.ErrWouldBlock {
		return nil, false
	}
	return ReplyOf(&result, err), true
}

// Serve executes a request of the gateway from. s may be nil.
func Serve(ctx context.Context, a gateway.Access, s gateway.Stateful, from string, r *peerpb.Request) *peerpb.Reply {
	c := newCall(ctx, a, from, r)
	c.stateful = s
	if c.bad {
		return Failed(causeway.ErrInval)
	}
	switch r.Op {
	case peerpb.Op_READDIR:
		return c.readDir()
	case peerpb.Op_LOCKS:
		return c.locks()
	}
	if open := opens[r.Op]; open != nil && s != nil {
		return open(c)
	}
	if layout := layouts[r.Op]; layout != nil {
		return layout(c)
	}
	run := operations[r.Op]
	if run == nil {
		return Failed(causeway.ErrNotSupp)
	}
	var result Result
	err := run(c, &result)
	return ReplyOf(&result, err)
}

// operations execute what their names say. Each checks what it decodes before it does anything.
var operations = map[peerpb.Op]func(c *call, to *Result) error{
	peerpb.Op_ROOT: func(c *call, to *Result) (err error) {
		to.Entry, err = c.access.Root(c.ctx, c.by, c.h.Volume)
		return err
	},
	peerpb.Op_LOOKUP: func(c *call, to *Result) (err error) {
		to.Entry, to.Dir, err = c.access.Lookup(c.ctx, c.by, c.h, c.name)
		return err
	},
	peerpb.Op_GETATTR: func(c *call, to *Result) (err error) {
		to.Entry.Attr, err = c.access.GetAttr(c.ctx, c.by, c.h)
		return err
	},
	peerpb.Op_ACCESS: func(c *call, to *Result) (err error) {
		to.Rights, to.Entry.Attr, err = c.access.Access(c.ctx, c.by, c.h, causeway.Rights(c.r.Arg)&7)
		return err
	},
	peerpb.Op_SETATTR: (*call).setAttributes,
	peerpb.Op_READLINK: func(c *call, to *Result) (err error) {
		to.Target, to.Entry.Attr, err = c.access.ReadLink(c.ctx, c.by, c.h)
		return err
	},
	peerpb.Op_CREATE: func(c *call, to *Result) (err error) {
		spec := c.createSpec(c.r.Create)
		if c.bad {
			return causeway.ErrInval
		}
		to.Entry, to.Change, err = c.access.Create(c.ctx, c.by, c.h, c.name, &spec)
		if err == nil && c.r.Grant != nil {
			to.Grant = c.grantFirst(&to.Entry)
		}
		return err
	},
	peerpb.Op_REMOVE: func(c *call, to *Result) (err error) {
		if c.r.Arg > uint32(gateway.RemoveAny) {
			return causeway.ErrInval
		}
		to.Change, err = c.access.Remove(c.ctx, c.by, c.h, c.name, gateway.RemoveKind(c.r.Arg))
		return err
	},
	peerpb.Op_RENAME: func(c *call, to *Result) (err error) {
		name2 := c.decoder.name(c.r.Name2, maxName)
		if c.bad {
			return causeway.ErrInval
		}
		to.Change, to.Change2, err = c.access.Rename(c.ctx, c.by, c.h, c.name, c.h2, name2)
		return err
	},
	peerpb.Op_LINK: func(c *call, to *Result) (err error) {
		to.Entry.Attr, to.Change, err = c.access.Link(c.ctx, c.by, c.h, c.h2, c.name)
		return err
	},
	peerpb.Op_STATFS: func(c *call, to *Result) (err error) {
		to.Stat, to.Entry.Attr, err = c.access.StatFS(c.ctx, c.by, c.h)
		return err
	},
	peerpb.Op_LOCK: func(c *call, to *Result) (err error) {
		to.Conflict, err = c.access.Lock(c.ctx, c.by, c.h, c.lockSpec(c.r.Lock))
		return err
	},
	peerpb.Op_TESTLOCK: func(c *call, to *Result) (err error) {
		to.Conflict, err = c.access.TestLock(c.ctx, c.by, c.h, c.lockSpec(c.r.Lock))
		return err
	},
	peerpb.Op_UNLOCK: func(c *call, _ *Result) error { return c.access.Unlock(c.ctx, c.by, c.h, c.lockSpec(c.r.Lock).Span) },
	peerpb.Op_CANCEL: func(c *call, _ *Result) error { return c.access.Cancel(c.ctx, c.by, c.h, c.lockSpec(c.r.Lock)) },
	peerpb.Op_RELEASE_CLIENT: func(c *call, _ *Result) error {
		client := c.decoder.name(c.r.Client, maxOwner)
		if c.bad || c.r.Arg > uint32(causeway.OwnerAware) {
			return causeway.ErrInval
		}
		if c.r.Flag {
			return c.access.ReleaseVia(c.ctx, causeway.OwnerKind(c.r.Arg), client, c.by.Gateway)
		}
		return c.access.ReleaseClient(c.ctx, causeway.OwnerKind(c.r.Arg), client)
	},
	peerpb.Op_PERSIST: (*call).persist,
}

func (c *call) setAttributes(to *Result) (err error) {
	set := c.setAttr(c.r.Set)
	var guard *causeway.Time
	if c.r.Guard != nil {
		t := c.time(c.r.Guard)
		guard = &t
	}
	if c.bad {
		return causeway.ErrInval
	}
	to.Change, err = c.access.SetAttr(c.ctx, c.by, c.h, &set, guard)
	return err
}

func (c *call) persist(*Result) error {
	if len(c.r.Objects) > maxObjects {
		return causeway.ErrInval
	}
	ids := make([]causeway.ObjectID, len(c.r.Objects))
	for i, b := range c.r.Objects {
		ids[i] = c.object(b)
	}
	if c.bad {
		return causeway.ErrInval
	}
	return c.access.Persist(c.ctx, c.h.Volume, ids...)
}

// readDir lists as many entries as were asked for, within bounds.
func (c *call) readDir() *peerpb.Reply {
	if c.r.Arg > uint32(gateway.WantAttr) {
		return Failed(causeway.ErrInval)
	}
	most, out, size := min(int(c.r.Count), MaxEntries), &peerpb.Reply{}, 0
	dir, eof, err := c.access.ReadDir(c.ctx, c.by, c.h, c.r.Cookie, gateway.ReadDirWant(c.r.Arg), func(e *causeway.DirEntry) bool {
		if len(out.Entries) >= most || size >= MaxListing {
			return false
		}
		size += len(e.Name) + 16
		if !e.Object.IsZero() {
			size += 128
		}
		if e.Attr.ACL != nil {
			size += 16 * len(e.Attr.ACL.Entries)
		}
		out.Entries = append(out.Entries, dirEntry(e))
		return true
	})
	out.Dir, out.Eof = attr(&dir), eof
	setError(out, err)
	return out
}

func (c *call) locks() *peerpb.Reply {
	list, err := c.access.Locks(c.ctx)
	out := Failed(err)
	for i := range list[:min(len(list), maxLocks)] {
		out.Locks = append(out.Locks, lock(&list[i]))
	}
	return out
}
