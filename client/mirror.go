package client

import (
	"context"
	"time"

	"causeway/client/clientpb"
	"causeway/redirect"
)

// mirrorWithin bounds how long it may take to open a mirror; the client stays where it is meanwhile.
const mirrorWithin = 10 * time.Second

// toMirror obeys a redirect to another volume that offers the same. A client that has changed something stays: a mirror has no changes.
func (c *Client) toMirror(v *Volume, r *clientpb.Redirect) {
	ctx, cancel := context.WithTimeout(c.life, mirrorWithin)
	defer cancel()
	m, err := c.Volume(ctx, r.Mirror)
	if err != nil || m == v || v.changed.Load() {
		c.cfg.Log.Debug("a mirror is not used", "volume", v.name, "mirror", r.Mirror, "err", err)
		return
	}
	if r.Address != "" {
		c.mu.Lock()
		c.learnLocked(r.Address)
		c.paths.Redirect(r.Mirror, r.Address, time.Now())
		c.mu.Unlock()
	}
	v.mirror.Store(m)
	c.cfg.Log.Info("redirected to a mirror", "volume", v.name, "mirror", r.Mirror, "to", r.Address)
}

// Mirror is the volume that is read in place of this one; its name, if it is itself.
func (v *Volume) Mirror() string {
	if m := v.mirror.Load(); m != nil {
		return m.name
	}
	return v.name
}

// reading does what only reads at the mirror, if the client was sent to one. Whatever fails there is done at the volume itself, and the mirror is
// left: what offers the same has failed to.
func (v *Volume) reading(ctx context.Context, do func(*Volume) error) error {
	if m := v.mirror.Load(); m != nil {
		err := do(m)
		if err == nil || ctx.Err() != nil {
			return err
		}
		v.mirror.CompareAndSwap(m, nil)
	}
	return do(v)
}

// place is where a file is read.
type place struct {
	v      *Volume
	handle []byte
}

// at is where to read the file: at the mirror, if the client was sent to one and the file is open for reading only.
func (f *File) at() place {
	own := place{f.v, f.handle}
	m := f.v.mirror.Load()
	if m == nil || f.writes() {
		return own
	}
	if p := f.place.Load(); p != nil && p.v == m {
		return *p
	}
	o, err := m.walk(f.ctx, f.name, true)
	if err != nil {
		f.v.mirror.CompareAndSwap(m, nil)
		return own
	}
	p := &place{m, o.handle}
	f.place.Store(p)
	return *p
}

// mayMirror reports whether the client lets itself be sent to mirrors.
func (c *Client) mayMirror() bool { return c.Ways()&redirect.WayMirror != 0 }
