package peer

import (
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// TestWriteAfterCreate: who makes a file through a gateway that does not administer the volume writes it without another question, until the
// owner wants the right back.
func TestWriteAfterCreate(t *testing.T) {
	s := newSite(t, options{direct: true, async: true})
	owner, away := s.g[0], s.g[1]
	h, err := away.create("new")
	must(t, err)
	before := away.peers.Stats().Asked
	c := gatewaytest.Root()
	c.NoWait = true
	write := func(off uint64) error {
		_, err := away.data.Write(t.Context(), c, h, off, []byte("data"), causeway.Unstable)
		return err
	}
	must(t, write(0))
	if asked := away.peers.Stats().Asked - before; asked != 0 {
		t.Errorf("%d questions before the first write", asked)
	}
	if _, err := owner.router.SetAttr(t.Context(), gatewaytest.Root(), h, &causeway.SetAttr{Mask: causeway.SetSize}, nil); err != nil {
		t.Fatal(err)
	}
	if err := write(4); causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Error("a write by a grant that a truncation has ended:", err)
	}
}

// TestRecalledBeforeUse: a right that came unasked, and that nobody has used, ends as any other.
func TestRecalledBeforeUse(t *testing.T) {
	s := newSite(t, options{direct: true, async: true})
	owner, away := s.g[0], s.g[1]
	h, err := away.create("new")
	must(t, err)
	if _, err := owner.router.SetAttr(t.Context(), gatewaytest.Root(), h, &causeway.SetAttr{Mask: causeway.SetSize, Size: 1}, nil); err != nil {
		t.Fatal(err)
	}
	c := gatewaytest.Root()
	c.NoWait = true
	if _, err := away.data.Write(t.Context(), c, h, 0, []byte("x"), causeway.Unstable); causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Error("written by a grant that was recalled:", err)
	}
}

// TestUnaskedOnlyFirst: nothing comes unasked of a file that somebody holds already, and of an exclusive volume.
func TestUnaskedOnlyFirst(t *testing.T) {
	s := newSite(t, options{gates: 3, direct: true, async: true})
	h, err := s.g[1].create("new")
	must(t, err)
	spec := &gateway.GrantSpec{Holder: "g3", Handle: h, Mode: causeway.IOReadWrite, Span: causeway.Span{Length: causeway.ToEOF}, NoWait: true, First: true}
	if _, err := s.g[0].engine.Grant(t.Context(), spec); causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Error("a second holder is first:", err)
	}
	spec.First = false
	if _, err := s.g[0].engine.Grant(t.Context(), spec); err != nil {
		t.Error("a second holder of a plain volume:", err)
	}
	exclusive := *s.g[0].volume
	exclusive.Exclusive = true
	s.g[0].engine.AttachAt(&exclusive, s.g[0].store, causeway.Epoch{Incarnation: 1, Revision: 100})
	spec.First, spec.Holder = true, "g2"
	if _, err := s.g[0].engine.Grant(t.Context(), spec); causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Error("unasked on an exclusive volume:", err)
	}
}
