package access

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/lockmgr"
)

// Close implements gateway.Opener.
func (e *Engine) Close(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) (bool, error) {
	if err := e.mine(c, h, id); err != nil {
		return false, err
	}
	if c.Wrote {
		e.written(ctx, c, h, id)
	}
	removed, code := e.locks.CloseOpen(h, id)
	return removed, errorOf(code)
}

// written tells those who cache or watch the directory of a file that it was written through an open that ends now.
func (e *Engine) written(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) {
	held, _, code := e.locks.OpenOf(h, id)
	if code != causeway.OK || held.Name == "" || held.DeletePending {
		return
	}
	by := *c
	by.Open = id // its lease says whose directory lease stays
	e.entries(ctx, &by, held.Dir, held.Name, gateway.Modified, gateway.NoticeLastWrite|gateway.NoticeSize)
}

// mine refuses an open that is not of the caller's client.
func (e *Engine) mine(c *gateway.Caller, h causeway.Handle, id causeway.OpenID) error {
	held, _, code := e.locks.OpenOf(h, id)
	if code == causeway.OK && (held.Owner.Kind != c.Owner.Kind || held.Owner.Client != c.Owner.Client) {
		return causeway.ErrBadOpen
	}
	return errorOf(code)
}

// Reconnect implements gateway.Opener.
func (e *Engine) Reconnect(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID, guid [16]byte, lease causeway.LeaseID) (gateway.Opened, error) {
	held, state, code := e.locks.Renew(causeway.Held{
		Handle: h, Open: id, GUID: guid, Owner: c.Owner, UID: c.Cred.UID, Gateway: c.Gateway, Lease: lease,
	})
	if code != causeway.OK {
		return gateway.Opened{}, code
	}
	opened := openedOf(&held, state)
	_, attr, err := e.stat(ctx, h)
	opened.Attr = attr
	return opened, err
}

// Disconnect implements gateway.Opener.
func (e *Engine) Disconnect(_ context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) error {
	if err := e.mine(c, h, id); err != nil {
		return err
	}
	_, code := e.locks.Disconnect(h, id)
	return errorOf(code)
}

// Downgrade implements gateway.Opener.
func (e *Engine) Downgrade(_ context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID, access causeway.AccessMask, share causeway.Sharing) error {
	if err := e.mine(c, h, id); err != nil {
		return err
	}
	return errorOf(e.locks.Downgrade(h, id, access, share))
}

// Acknowledge implements gateway.Opener.
func (e *Engine) Acknowledge(_ context.Context, c *gateway.Caller, h causeway.Handle, id causeway.LeaseID, caching causeway.Caching) (gateway.LeaseState, error) {
	if id.Client != c.Owner.Client {
		return gateway.LeaseState{}, causeway.ErrBadOpen
	}
	state, code := e.locks.Acknowledge(h, id, caching)
	return gateway.LeaseState(state), errorOf(code)
}

// SetDelete implements gateway.Opener. A directory must be empty (ErrNotEmpty).
func (e *Engine) SetDelete(ctx context.Context, c *gateway.Caller, h causeway.Handle, id causeway.OpenID, on bool) error {
	if err := e.mine(c, h, id); err != nil {
		return err
	}
	if on {
		v, attr, err := e.stat(ctx, h)
		if err != nil {
			return err
		}
		if c.ReadOnly || v.ReadOnly {
			return causeway.ErrROFS
		}
		if attr.Type == causeway.TypeDirectory {
			if err := v.requireEmpty(ctx, h.Object); err != nil {
				return err
			}
		}
		if err := e.locks.Break(ctx, h, lockmgr.By{Owner: c.Owner, Open: id}, lockmgr.OpName, c.NoWait); err != nil {
			return err
		}
	}
	return errorOf(e.locks.SetDelete(h, id, on))
}

func (v *volume) requireEmpty(ctx context.Context, dir causeway.ObjectID) error {
	empty := true
	_, err := v.store.List(ctx, dir, 0, false, func(entry *causeway.DirEntry) bool {
		empty = entry.Name == "." || entry.Name == ".."
		return empty
	})
	if err == nil && !empty {
		return causeway.ErrNotEmpty
	}
	return err
}

// removeDoomed removes the name that went with its last open. Whoever doomed it had the right to.
func (e *Engine) removeDoomed(h causeway.Held) bool {
	ctx := context.Background() // of nobody's request: the name must go, and with it what was promised
	v, err := e.volume(h.Handle.Volume)
	if err != nil {
		return false
	}
	gone, err := e.removeNow(ctx, v, &h)
	if err != nil {
		return false
	}
	e.released(ctx, v, gone)
	if !v.Async {
		_ = v.store.Persist(ctx, h.Dir.Object)
	}
	c := &gateway.Caller{Owner: h.Owner}
	e.entries(ctx, c, h.Dir, h.Name, gateway.Removed, nameFilter(gone.attr.Type == causeway.TypeDirectory))
	return true
}

// removeNow removes a name if it still stands for the object.
func (e *Engine) removeNow(ctx context.Context, v *volume, h *causeway.Held) (victim, error) {
	defer e.lockOpening(v, h.Dir, h.Name)()
	id, attr, err := v.store.Lookup(ctx, h.Dir.Object, h.Name)
	if err != nil {
		return victim{}, err
	} else if id != h.Handle.Object {
		return victim{}, causeway.ErrStale
	}
	c := &gateway.Caller{Owner: h.Owner}
	began := e.owning(v)
	for _, object := range []causeway.Handle{h.Dir, h.Handle} {
		x, err := e.touch(ctx, c, v, object, causeway.IOReadWrite)
		if err != nil {
			return victim{}, err
		}
		defer x.end()
	}
	if err := began.still(); err != nil {
		return victim{}, err
	}
	return victim{id, attr}, v.store.Remove(ctx, h.Dir.Object, h.Name, attr.Type == causeway.TypeDirectory)
}

// Opens implements gateway.Opener.
func (e *Engine) Opens(_ context.Context, v causeway.VolumeID) ([]gateway.Opened, error) {
	var list []gateway.Opened
	for _, h := range e.locks.Held(v, "") {
		if h.Kind == causeway.HeldOpen {
			held, state, code := e.locks.OpenOf(h.Handle, h.Open)
			if code == causeway.OK {
				list = append(list, openedOf(&held, state))
			}
		}
	}
	return list, nil
}
