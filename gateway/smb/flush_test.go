package smb

import (
	"context"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// versioned has a verifier of the test's, and something that happens during a sync.
type versioned struct {
	gateway.Transfer
	now    *causeway.Verifier
	during func()
}

func (s versioned) Write(ctx context.Context, c *gateway.Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (gateway.WriteResult, error) {
	r, err := s.Transfer.Write(ctx, c, h, off, data, how)
	r.Verifier = *s.now
	return r, err
}

func (s versioned) Sync(ctx context.Context, c *gateway.Caller, h causeway.Handle, span causeway.Span) (gateway.SyncResult, error) {
	r, err := s.Transfer.Sync(ctx, c, h, span)
	r.Verifier = *s.now
	if s.during != nil {
		s.during()
	}
	return r, err
}

// TestLossIsToldOfWritesDuringFlush: what was written while a flush ran is for the next one to tell of, if it is lost.
func TestLossIsToldOfWritesDuringFlush(t *testing.T) {
	for _, during := range []bool{false, true} {
		r := newRig(t, true)
		r.ses.signed = false
		id := r.openFile(t)
		s := versioned{Transfer: r.srv.cfg.Transfer, now: &causeway.Verifier{1}}
		run := func(c wire.Command, body []byte) ntstatus.Status {
			r.srv.cfg.Transfer = s
			r.send(t, r.request(c, 0, body))
			_, h := r.final(t)
			return h.Status
		}
		if during {
			s.during = func() { r.ses.opens[id].wrote(causeway.Verifier{1}) }
		}
		if got := run(wire.Write, dataBody(id, true)); got != ntstatus.OK {
			t.Fatal(got)
		}
		if got := run(wire.Flush, closeBody(id)); got != ntstatus.OK {
			t.Error("nothing was lost:", got)
		}
		s.during = nil
		*s.now = causeway.Verifier{2}
		if got := run(wire.Flush, closeBody(id)); (got != ntstatus.OK) != during {
			t.Errorf("written meanwhile: %v, flush after a loss: %v", during, got)
		}
		if got := run(wire.Flush, closeBody(id)); got != ntstatus.OK {
			t.Error("a loss is told twice:", got)
		}
		r.close()
	}
}
