package client

import (
	"context"
	"time"

	"causeway/client/clientpb"
	"causeway/redirect"
)

// mirrorWithin bounds how long it may take to open a mirror; the client stays where it is meanwhile.
const mirrorWithin = 10 * time.Second

// mirror is where a volume is read for some time.
type mirror struct {
	*Volume
	until time.Time
}

// toMirror obeys a redirect to another volume that offers the same. A client that has changed something stays: a mirror has no changes.
func (c *Client) toMirror(v *Volume, from *link, r *clientpb.Redirect) {
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
	now := &mirror{m, time.Now().Add(c.cfg.MirrorFor)}
	v.mirror.Store(now)
	c.cfg.Log.Info("redirected to a mirror", "volume", v.name, "mirror", r.Mirror, "to", r.Address)
	if o := from.offers.Load(); o != nil { // it may have changed its mind meanwhile
		v.leave(now, *o)
	}
}

// offers are volumes, each with another one that may be read in its place.
type offers map[[2]string]bool

// offered takes in which mirrors there are, if a gateway says so. Those that are withdrawn, or not exported to this client any more, are left.
func (c *Client) offered(from *link, list *clientpb.Mirrors) {
	if list == nil {
		return
	}
	o := offers{}
	for _, m := range list.All {
		o[[2]string{m.Volume, m.Mirror}] = true
	}
	from.offers.Store(&o)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.volumes {
		if m := v.mirror.Load(); m != nil {
			v.leave(m, o)
		}
	}
}

// leave ends a time at a mirror that is not offered any more.
func (v *Volume) leave(m *mirror, o offers) {
	if !o[[2]string{v.name, m.name}] && v.mirror.CompareAndSwap(m, nil) {
		v.c.cfg.Log.Info("a mirror is withdrawn", "volume", v.name, "mirror", m.name)
	}
}

// read is the mirror in use; nil: none. A time at one ends by itself, since who sent the client there does not see it any more: if the volume's
// gateways are still too busy they send it there again. It ends also when the operator switches the way off, or withdraws the mirror.
func (v *Volume) read() *mirror {
	m := v.mirror.Load()
	if m == nil {
		return nil
	}
	if !v.c.mayMirror() || time.Now().After(m.until) {
		v.mirror.CompareAndSwap(m, nil)
		return nil
	}
	return m
}

// Mirror is the volume that is read in place of this one; its name, if it is itself.
func (v *Volume) Mirror() string {
	if m := v.read(); m != nil {
		return m.name
	}
	return v.name
}

// reading does what only reads at the mirror, if the client was sent to one. Whatever fails there is done at the volume itself, and the mirror is
// left: what offers the same has failed to.
func (v *Volume) reading(ctx context.Context, do func(*Volume) error) error {
	if m := v.read(); m != nil {
		err := do(m.Volume)
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
	mirror *mirror // nil: the file itself
}

// at is where to read the file: at the mirror, if the client was sent to one and the file is open for reading only.
func (f *File) at() (place, error) {
	if m := f.v.read(); m != nil && !f.writes() {
		if p := f.place.Load(); p != nil && p.mirror == m {
			return *p, nil
		}
		if o, err := m.walk(f.ctx, f.name, true); err == nil {
			p := &place{m.Volume, o.handle, m}
			f.place.Store(p)
			return *p, nil
		}
		f.v.mirror.CompareAndSwap(m, nil)
	}
	handle, err := f.original()
	return place{v: f.v, handle: handle}, err
}

// original is the handle in the volume itself, which is looked up when it is needed first if the file was opened at a mirror.
func (f *File) original() ([]byte, error) {
	f.mu.Lock()
	handle := f.handle
	f.mu.Unlock()
	if handle != nil {
		return handle, nil
	}
	o, err := f.v.walk(f.ctx, f.name, true)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handle == nil {
		f.handle = o.handle
	}
	return f.handle, nil
}

// openMirror opens a file for reading at the mirror, if the client was sent to one that has it. Then the volume itself is not asked.
func (v *Volume) openMirror(ctx context.Context, name string) *File {
	m := v.read()
	if m == nil {
		return nil
	}
	o, err := m.walk(ctx, name, true)
	if err != nil {
		if ctx.Err() == nil {
			v.mirror.CompareAndSwap(m, nil)
		}
		return nil
	}
	f := &File{v: v, ctx: ctx, name: name, owner: v.c.owners.Add(1)}
	f.place.Store(&place{m.Volume, o.handle, m})
	return f
}

// mayMirror reports whether the client lets itself be sent to mirrors.
func (c *Client) mayMirror() bool { return c.Ways()&redirect.WayMirror != 0 }
