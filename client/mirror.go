package client

import (
	"context"
	"errors"
	"time"

	"causeway/client/clientpb"
	"causeway/redirect"
)

// mirrorFor is how long a client reads from a mirror before it tries the volume itself again. If its gateways are too busy still, they say so.
const mirrorFor = 10 * time.Minute

// mirrored is a volume that offers what another one does.
type mirrored struct {
	v     *Volume
	until time.Time
}

// toMirror obeys a gateway that sends the client to a mirror of a volume: what is opened for reading from now on is opened there. Files that are
// open stay where they are. A client that has changed the volume stays too: it must see its changes.
func (c *Client) toMirror(from *link, r *clientpb.Redirect) {
	c.mu.Lock()
	here, ok := c.paths.Current(r.Volume)
	v := c.volumes[r.Volume]
	if r.Address != "" {
		c.learnLocked(r.Address)
	}
	c.mu.Unlock()
	if !ok || here.Gateway != from.address || v == nil || v.changed.Load() || c.Ways()&redirect.WayMirror == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(c.life, c.cfg.Patience)
	defer cancel()
	m, err := c.Volume(ctx, r.Mirror)
	if err != nil {
		c.cfg.Log.Warn("a mirror cannot be used", "volume", r.Volume, "mirror", r.Mirror, "err", err)
		return
	}
	if r.Address != "" {
		c.mu.Lock()
		c.paths.Redirect(r.Mirror, r.Address, time.Now())
		c.mu.Unlock()
	}
	v.mirror.Store(&mirrored{m, time.Now().Add(mirrorFor)})
	c.cfg.Log.Info("redirected to a mirror", "volume", r.Volume, "mirror", r.Mirror, "from", from.address, "to", r.Address)
}

// Mirror returns the volume from which this one is read at present, because gateways have sent the client there; nil: it is read itself.
func (v *Volume) Mirror() *Volume {
	m := v.mirror.Load()
	if m == nil || v.changed.Load() {
		return nil
	}
	if time.Now().After(m.until) {
		v.mirror.CompareAndSwap(m, nil)
		return nil
	}
	return m.v
}

// reading does what changes nothing at the mirror in use, if there is one, else at the volume. A mirror that fails where the volume does not is left.
func reading[T any](ctx context.Context, v *Volume, do func(*Volume) (T, error)) (T, error) {
	m := v.Mirror()
	if m == nil {
		return do(v)
	}
	out, err := do(m)
	if err == nil || ctx.Err() != nil {
		return out, err
	}
	own, ownErr := do(v)
	if ownErr == nil {
		v.mirror.Store(nil)
		v.c.cfg.Log.Warn("a mirror does not have what the volume has", "volume", v.name, "mirror", m.name, "err", errors.Unwrap(err))
	}
	return own, ownErr
}

// noteChange remembers that this client changes a volume.
func (c *Client) noteChange(volume string) {
	c.mu.Lock()
	v := c.volumes[volume]
	c.mu.Unlock()
	if v != nil {
		v.changed.Store(true)
	}
}
