package member

import (
	"context"
	"errors"
	"time"

	"causeway"
	"causeway/cluster"
)

// hooks do what the cluster decided about volumes.
type hooks struct{ m *Member }

var _ cluster.Hooks = hooks{}

// Pause makes calls of a volume wait, here and where this gateway would send them.
func (h hooks) Pause(ctx context.Context, v causeway.VolumeID) error {
	defer h.took("pause", v, time.Now())
	h.m.routes.Close(v)
	return h.m.routes.Drain(ctx, v)
}

// Resume lets calls go on, to the gateway that owns the volume now.
func (h hooks) Resume(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	select {
	case <-h.m.joined:
	case <-ctx.Done():
		return ctx.Err()
	}
	t := h.m.Cluster().Table()
	owner, _ := t.Owner(v)
	if owner == nil || t.Epoch(v) != e {
		return nil // it moves on: another Pause and Resume follow
	}
	h.m.split.near.Drop(v)
	h.m.routes.Open(v, owner.Node == h.m.cfg.Cluster.Node, owner.Node, e)
	if front := h.m.front.Load(); front != nil {
		(*front).AskAgain(v)
	}
	return nil
}

// Acquire opens the volume, if it is what the other gateways have under that name, and takes over what its last owner knew.
func (h hooks) Acquire(ctx context.Context, v *cluster.VolumeRecord, e causeway.Epoch) error {
	defer h.took("acquire", v.ID, time.Now())
	at, err := h.m.storageOf(v)
	if err != nil {
		return err
	}
	select {
	case <-h.m.joined:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !at.IsShare() { // which has one place, wherever it is used from
		dir, err := Place(at.Backend)
		if err == nil {
			err = h.m.Witnessed(ctx, v.ID, dir)
		}
		if err != nil {
			return err
		}
	}
	if err := h.m.cfg.Volumes.Acquire(ctx, v.Volume(), at, e); err != nil {
		return err
	}
	return h.m.split.acquire(ctx, v.ID, e)
}

// Release keeps what the next owner will ask for, and closes the volume. Whoever opens it next finds there that this gateway knew of it.
func (h hooks) Release(ctx context.Context, v causeway.VolumeID, _ causeway.Epoch) error {
	defer h.took("release", v, time.Now())
	h.m.vouchFor(v)
	return errors.Join(h.m.split.copies.end(ctx, v), h.m.cfg.Volumes.Release(ctx, v))
}

func (h hooks) took(op string, v causeway.VolumeID, since time.Time) {
	h.m.log.Debug("a volume moves", "volume", v, "op", op, "took", time.Since(since))
}

// Fence stops all I/O, and ends what the life that is over has left: calls that clients sent in it and that nobody has read yet, and what
// other gateways allowed in it, which they have taken for ended since. So nothing of it is done when this gateway may do I/O again.
func (h hooks) Fence() {
	h.m.routes.CloseAll()
	for _, v := range h.m.cfg.Catalog.Volumes() {
		h.m.split.near.Drop(v.ID)
	}
	if cutOff := h.m.cfg.CutOff; cutOff != nil {
		cutOff()
	}
}
