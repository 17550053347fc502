package peer

import (
	"context"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// TestReleaseWhileVolumeMoves: what a client holds in a volume that moves is at no gateway for a moment. It is released when it is there again,
// and nobody is told meanwhile that the client holds nothing.
func TestReleaseWhileVolumeMoves(t *testing.T) {
	s := newSite(t, options{gates: 3})
	h, err := s.g[1].create("f")
	must(t, err)
	c := gatewaytest.Root()
	c.Owner = causeway.Owner{Kind: causeway.OwnerNLM, Client: "gone", Opaque: "\x00\x00\x00\x01"}
	if _, err := s.g[1].router.Lock(t.Context(), c, h, gateway.LockSpec{Span: causeway.Span{Length: 1}, Exclusive: true}); err != nil {
		t.Fatal(err)
	}
	held, err := s.g[0].engine.Held(t.Context(), vol, "")
	must(t, err)
	s.shut()
	s.g[0].locks.Drop(vol) // the copy is with the next owner, which takes it over
	if list, err := s.g[1].router.Locks(t.Context()); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Errorf("the locks that there are: %+v, %v", list, err)
	}
	if err := s.g[1].router.ReleaseVia(t.Context(), causeway.OwnerNLM, "gone", ""); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error("released:", err)
	}
	released := make(chan error, 1)
	go func() {
		released <- s.g[1].router.ReleaseClient(context.Background(), causeway.OwnerNLM, "gone")
	}()
	select {
	case err := <-released:
		t.Error("released what nobody has:", err)
	case <-time.After(50 * time.Millisecond):
	}
	if refused, err := s.g[2].engine.Assert(t.Context(), vol, held); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	s.open(2)
	if err := <-released; err != nil {
		t.Error(err)
	}
	if list, err := s.g[1].router.Locks(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestReleaseWithoutAdministrator: a volume that nobody administers keeps no client waiting for ever.
func TestReleaseWithoutAdministrator(t *testing.T) {
	s := newSite(t, options{routes: func(c *RouterConfig) { c.Patience = 50 * time.Millisecond }})
	s.shut()
	if err := s.g[1].router.ReleaseClient(t.Context(), causeway.OwnerNLM, "gone"); err != nil {
		t.Error(err)
	}
}
