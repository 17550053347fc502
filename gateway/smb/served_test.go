package smb

import (
	"context"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// moving can move bytes only after it has been asked some times, as while the volume changes its administrator.
type moving struct {
	gateway.Transfer
	left *atomic.Int32
}

func (s moving) away() error {
	if s.left.Add(-1) >= 0 {
		return causeway.ErrDelay
	}
	return nil
}

func (s moving) Read(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, dst []byte) (gateway.ReadResult, error) {
	if err := s.away(); err != nil {
		return gateway.ReadResult{}, err
	}
	return s.Transfer.Read(ctx, c, h, off, dst)
}

func (s moving) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	if err := s.away(); err != nil {
		return gateway.WriteResult{}, err
	}
	return s.Transfer.Write(ctx, c, h, off, data, how)
}

func (s moving) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, span causeway.Span) (gateway.SyncResult, error) {
	if err := s.away(); err != nil {
		return gateway.SyncResult{}, err
	}
	return s.Transfer.Sync(ctx, c, h, span)
}

// TestDataIsServedLater: no client hears that its volume moves while it reads, writes or flushes.
func TestDataIsServedLater(t *testing.T) {
	r := newRig(t, true)
	defer r.close()
	r.ses.signed = false
	id := r.openFile(t)
	later := moving{r.srv.cfg.Transfer, new(atomic.Int32)}
	r.srv.cfg.Transfer = later
	for _, c := range []struct {
		command wire.Command
		body    []byte
	}{{wire.Write, dataBody(id, true)}, {wire.Flush, closeBody(id)}, {wire.Read, dataBody(id, false)}} {
		later.left.Store(3)
		r.send(t, r.request(c.command, 0, c.body))
		if _, h := r.final(t); h.Command != c.command || h.Status != ntstatus.OK {
			t.Errorf("%v: %v", c.command, h.Status)
		}
		if n := later.left.Load(); n >= 0 {
			t.Errorf("%v was answered with %d refusals left", c.command, n)
		}
	}
}
