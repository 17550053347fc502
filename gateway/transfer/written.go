package transfer

import (
	"context"
	"sync"

	"causeway"
	"causeway/gateway"
)

// written are objects that were written, of which those who watch their directories have not been told. A write only marks its object; with the
// renewal of leases that follows, the volume's owner is told of all that are marked, and knows who watches. Here are those whose
// grants are not renewed: they have none to renew, or it has ended.
type written struct {
	mu      sync.Mutex
	objects map[causeway.Handle]bool
}

// maxWritten bounds them. Of more nobody is told.
const maxWritten = 1 << 14

func (w *written) add(h causeway.Handle) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.objects == nil {
		w.objects = make(map[causeway.Handle]bool)
	}
	if len(w.objects) < maxWritten {
		w.objects[h] = true
	}
}

// take returns them by volume, and forgets them.
func (w *written) take() map[causeway.VolumeID][]gateway.Held {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.objects) == 0 {
		return nil
	}
	list := make(map[causeway.VolumeID][]gateway.Held)
	for h := range w.objects {
		list[h.Volume] = append(list[h.Volume], gateway.Held{Handle: h, Written: true})
	}
	w.objects = nil
	return list
}

// tellWritten tells the owner of a volume what was written. While it is not reached there is nobody who watches.
func (e *Engine) tellWritten(ctx context.Context, id causeway.VolumeID, list []gateway.Held) {
	v := (*e.volumes.Load())[id]
	for v != nil && len(list) > 0 {
		batch := list[:min(len(list), renewBatch)]
		list = list[len(batch):]
		within, cancel := context.WithTimeout(ctx, e.cfg.Renew) // the next renewals must not wait for it
		_, err := e.cfg.Grants.Renew(within, e.cfg.Node, v.known(), batch)
		cancel()
		if err != nil {
			return
		}
	}
}
