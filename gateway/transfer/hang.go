package transfer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/internal/sleep"
)

// inflight counts the calls that are under way by this gateway's own path to a volume, by age.
type inflight struct {
	age atomic.Uint32
	in  [4]atomic.Int32 // a call that hangs is counted among younger ones after four ages, and then again among old ones
}

func (f *inflight) enter() (age uint32) {
	age = f.age.Load() % uint32(len(f.in))
	f.in[age].Add(1)
	return age
}

func (f *inflight) leave(age uint32) { f.in[age].Add(-1) }

// turn begins a new age. It reports whether calls have been under way for more than a whole one.
func (f *inflight) turn() bool {
	n := uint32(len(f.in))
	now := f.age.Add(1)
	return f.in[(now-2)%n].Load()+f.in[(now-3)%n].Load() > 0
}

// inflightOf returns a volume's calls.
func (x *Paths) inflightOf(v causeway.VolumeID) *inflight {
	if f := (*x.inflight.Load())[v]; f != nil {
		return f
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	old := *x.inflight.Load()
	if f := old[v]; f != nil {
		return f
	}
	all := make(map[causeway.VolumeID]*inflight, len(old)+1)
	for id, f := range old {
		if x.cfg.Open(id) {
			all[id] = f
		}
	}
	f := &inflight{}
	all[v] = f
	x.inflight.Store(&all)
	return f
}

// errHangs is why a path is suspected by which nothing fails.
var errHangs = errors.New("the storage does not answer")

// guard looks for calls that hang. Storage that is only slow answers a probe: nobody takes it for dead.
func (x *Paths) guard() {
	for sleep.For(x.ctx, x.cfg.Hangs/2) {
		for v, f := range *x.inflight.Load() {
			if f.turn() && x.cfg.Open(v) {
				x.hanging(v)
			}
		}
	}
}

// hanging probes a path patiently, unless that is being done already, and suspects it if the probe does not end either.
func (x *Paths) hanging(v causeway.VolumeID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx.Err() != nil || x.hangs[v] || x.paths[v] != nil {
		return
	}
	x.hangs[v] = true
	ended := make(chan error, 1)
	go func() { ended <- x.cfg.Test(x.ctx, v) }() // nothing ends it if the kernel does not
	x.tasks.Go(func() {
		patience := time.NewTimer(x.cfg.Hangs / 2)
		defer patience.Stop()
		select {
		case err := <-ended:
			x.landed(v)
			if err != nil && x.ctx.Err() == nil {
				x.suspect(v, err)
			}
		case <-patience.C:
			x.suspect(v, errHangs)
			select {
			case <-ended:
			case <-x.ctx.Done():
			}
			x.landed(v)
		case <-x.ctx.Done():
		}
	})
}

// landed notes that a patient probe has ended.
func (x *Paths) landed(v causeway.VolumeID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.hangs, v)
}

// counted is this gateway's own path, with its calls counted.
type counted struct {
	gateway.Transfer
	x *Paths
}

// Read implements gateway.Transfer.
func (c counted) Read(ctx context.Context, by *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (gateway.ReadResult, error) {
	f := c.x.inflightOf(h.Volume)
	defer f.leave(f.enter())
	return c.Transfer.Read(ctx, by, h, off, dst)
}

// Write implements gateway.Transfer.
func (c counted) Write(ctx context.Context, by *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	f := c.x.inflightOf(h.Volume)
	defer f.leave(f.enter())
	return c.Transfer.Write(ctx, by, h, off, data, how)
}

// Sync implements gateway.Transfer.
func (c counted) Sync(ctx context.Context, by *gateway.Caller, h causeway.Handle, s causeway.Span) (gateway.SyncResult, error) {
	f := c.x.inflightOf(h.Volume)
	defer f.leave(f.enter())
	return c.Transfer.Sync(ctx, by, h, s)
}
