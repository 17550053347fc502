package nlm

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"causeway/gateway/nfs/rpc"
)

// TestElsewhere: a client that has called an address which is another gateway's now is called by that one, and only then.
func TestElsewhere(t *testing.T) {
	var asked, down atomic.Int32
	var other atomic.Pointer[Service]
	w := newWorld(t, func(c *Config) {
		c.Elsewhere = func(local netip.Addr) (func(context.Context, Callback) ([]byte, error), bool) {
			if local.String() != "127.0.0.1" {
				t.Errorf("called from %v", local)
			}
			return func(ctx context.Context, cb Callback) ([]byte, error) {
				asked.Add(1)
				if down.Load() != 0 {
					return nil, errors.New("cannot be asked")
				}
				return other.Load().CallClient(ctx, cb)
			}, true
		}
	})
	other.Store(newWorld(t, func(c *Config) { c.Portmap.Port = w.port }).nlm)
	a, b := w.guest(2, "tcp"), w.guest(3, "tcp")
	a.expect(granted, procLock, ask{file: "f", svid: 1, state: 3})
	b.expect(blocked, procLock, ask{file: "f", svid: 1, block: true, state: 3})
	down.Store(1)
	a.expect(granted, procUnlock, ask{file: "f", svid: 1})
	w.eventually("tried again", func() bool { return asked.Load() > 1 })
	down.Store(0)
	w.eventually("acknowledged", func() bool { return w.nlm.Stats().Unacknowledged == 0 })
	a.expect(denied, procLock, ask{file: "f", svid: 1, state: 3})

	before := asked.Load()
	w.stop()
	w.start()
	w.eventually("told by name and by address", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.notices) >= 2
	})
	if asked.Load() < before+2 {
		t.Error(before, asked.Load())
	}
}

// TestCallClient tells what is no such procedure from what does not answer.
func TestCallClient(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CallTimeout = 500 * time.Millisecond })
	a := w.guest(2, "tcp")
	addr := netip.MustParseAddr("127.0.0.2")
	if _, err := w.nlm.CallClient(t.Context(), Callback{Remote: addr, Prog: Program, Vers: 4, Proc: 99}); !errors.Is(err, rpc.ErrProcUnavail) {
		t.Error(err)
	}
	if _, err := w.nlm.CallClient(t.Context(), Callback{Remote: addr, Prog: Program, Vers: 4}); err != nil {
		t.Error(err)
	}
	a.kill()
	if _, err := w.nlm.CallClient(t.Context(), Callback{Remote: addr, Prog: Program, Vers: 4}); err == nil {
		t.Error("nobody answered")
	}
}
