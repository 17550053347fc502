package peer

import (
	"testing"

	"causeway"
	"causeway/gateway/gatewaytest"
)

// TestHeldUpCalls: a call that came before its gateway was cut off, and is held up until that has rejoined and has the volume again, is not
// carried out: its client has had another gateway do it.
func TestHeldUpCalls(t *testing.T) {
	s := newSite(t, options{})
	g := s.g[0]
	root := s.root(g)
	early := gatewaytest.Root()
	early.Life = g.table.Life() + 1
	if _, _, err := g.router.Lookup(t.Context(), early, root, "."); err != nil {
		t.Error("not held up:", err)
	}
	g.table.CloseAll()
	s.open(0)
	if _, err := g.createAs(early, "late"); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error("a call of an earlier life was answered:", err)
	}
	if _, _, err := g.router.Lookup(t.Context(), gatewaytest.Root(), root, "late"); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Error("it was even done:", err)
	}
	now := gatewaytest.Root()
	now.Life = g.table.Life() + 1
	if _, err := g.createAs(now, "in time"); err != nil {
		t.Error(err)
	}
}
