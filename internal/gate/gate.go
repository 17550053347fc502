// Package gate lets one who took something out of use wait until everybody who may still use it has gone: a grace period in
// the sense of read-copy-update. Those who pass pay two additions to a counter that they share with few others, and never
// wait. It knows nothing of what is guarded.
package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"causeway/internal/sleep"
)

// shards keep goroutines on different processors from writing to the same cache lines.
const shards = 16

// Gate counts who is inside. The zero Gate is ready.
type Gate struct {
	phase  atomic.Uint32
	shards [shards]shard

	mu sync.Mutex // one waits at a time
}

// shard counts who entered it in each phase.
type shard struct {
	inside [2]atomic.Int64
	_      [48]byte
}

// Pass is somebody inside.
type Pass struct{ counter *atomic.Int64 }

// Enter goes in; what was taken out of use before is not found from now on. Leave must follow.
func (g *Gate) Enter() Pass {
	var onStack byte // where it lies differs between goroutines, and stays with each
	s := &g.shards[uintptr(unsafe.Pointer(&onStack))>>12%shards]
	p := Pass{&s.inside[g.phase.Load()&1]}
	p.counter.Add(1)
	return p
}

// Leave goes out.
func (p Pass) Leave() { p.counter.Add(-1) }

// Wait returns when all who were inside when it was called have left, or with the context's error. New ones that keep coming
// do not hold it up.
//
// Who read the phase before it changed may count himself in the old one afterwards. He has entered after the call, so this
// Wait may miss him, but the next one must not: so each goes through both phases.
func (g *Gate) Wait(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range 2 {
		old := (g.phase.Add(1) - 1) & 1
		if err := g.empty(ctx, old); err != nil {
			return err
		}
	}
	return nil
}

// empty waits until a phase that nobody enters any more is empty.
func (g *Gate) empty(ctx context.Context, phase uint32) error {
	for pause := 50 * time.Microsecond; g.inside(phase) != 0; pause = min(2*pause, 20*time.Millisecond) {
		if !sleep.For(ctx, pause) {
			return ctx.Err()
		}
	}
	return nil
}

func (g *Gate) inside(phase uint32) (n int64) {
	for i := range g.shards {
		n += g.shards[i].inside[phase].Load()
	}
	return n
}
