package access

import (
	"context"
	"math"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/access/grants"
	"causeway/lockmgr/notify"
)

var _ gateway.Keeper = (*Engine)(nil)

// Held implements gateway.Keeper.
func (e *Engine) Held(_ context.Context, v causeway.VolumeID, gateway string) ([]causeway.Held, error) {
	return e.locks.Held(v, gateway), nil
}

// Assert implements gateway.Keeper.
func (e *Engine) Assert(_ context.Context, v causeway.VolumeID, list []causeway.Held) ([]causeway.Held, error) {
	for i := range list {
		if list[i].Handle.Volume != v {
			return nil, causeway.ErrInval
		}
	}
	e.asserting.Store(v, true)
	defer e.asserting.Delete(v)
	return e.locks.AssertHeld(list), nil
}

// ReleaseGateway implements gateway.Keeper.
func (e *Engine) ReleaseGateway(_ context.Context, v causeway.VolumeID, gateway string) error {
	e.locks.ReleaseGateway(v, gateway)
	e.notices.RemoveWhere(func(w *notify.Watch) bool { return w.Gateway == gateway && w.Dir.Volume == v })
	return nil
}

// Observe implements gateway.Keeper.
func (e *Engine) Observe(o gateway.Observer) {
	e.locks.Observe(func(changes []causeway.Held) { o(context.Background(), changes) })
}

// recallForGuard makes holders of an object's grants ask again, and learn that I/O on it is guarded now. One that does not
// answer is fenced by its lease. Where an earlier owner had set the guard, and had them told, nobody waits: I/O here may stand before that
// owner's door, and goes on when the volume is open again, which is after this.
func (e *Engine) recallForGuard(h causeway.Handle) {
	if _, asserted := e.asserting.Load(h.Volume); asserted {
		if v, err := e.volume(h.Volume); err == nil {
			e.running.Go(func() {
				_, _ = e.ask(context.Background(), grants.Local, &gateway.Recall{Handle: h, Epoch: v.epoch, Seq: math.MaxUint64})
			})
		}
		return
	}
	_ = e.Denied(context.Background(), h)
}
