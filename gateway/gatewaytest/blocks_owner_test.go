package gatewaytest_test

import (
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/backend/blocks"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// These tests let a gateway that writes a file by extents become the volume's owner. What it holds then is held as by any other
// gateway: its blocks are not given away below it, and what it wrote is not forgotten.

// ownWriter is a site in which the first gateway but the owner has written a file and then taken the volume over.
func ownWriter(t *testing.T, how causeway.Stability) (x *site, a, b *machine, h causeway.Handle, wrote gateway.WriteResult) {
	t.Helper()
	x = blockSite(t, 3, 600*time.Millisecond)
	a, b = x.gateways[1], x.gateways[2]
	h = a.create("f")
	if err := x.gateways[0].store.Persist(t.Context()); err != nil {
		t.Fatal(err)
	}
	wrote, err := a.put(h, 0, []byte("mine"), how)
	if err != nil {
		t.Fatal(err)
	}
	next := causeway.Epoch{Revision: 2}
	if err := a.store.(*blocks.Store).Own(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	x.gateways[0].store.(*blocks.Store).Leave()
	x.move(a, next)
	return x, a, b, h, wrote
}

// fill gives a new file all blocks that were freed before, through another gateway.
func fill(t *testing.T, b *machine) causeway.Handle {
	g := b.create("g")
	if _, err := b.put(g, 0, []byte(strings.Repeat("other ", 20000)), causeway.FileSync); err != nil {
		t.Fatal(err)
	}
	return g
}

func unharmed(t *testing.T, b *machine, g causeway.Handle) {
	t.Helper()
	got := make([]byte, 120000)
	n, err := b.get(g, 0, got)
	if want := strings.Repeat("other ", 20000); err != nil || string(got[:n]) != want {
		t.Errorf("another file was written to, %v: %.20q", err, got)
	}
}

// TestOwnersWriterSettled: blocks that were not committed stay with the writer when it is the owner itself.
func TestOwnersWriterSettled(t *testing.T) {
	x, a, b, h, _ := ownWriter(t, causeway.Unstable)
	for end := time.Now().Add(3 * x.lease); time.Now().Before(end); time.Sleep(x.lease / 40) {
		// Used, so that it is not committed; meanwhile what nobody has asserted is taken back.
		if err := a.write(h, "mine"); err != nil {
			t.Fatal(err)
		}
	}
	g := fill(t, b)
	if err := a.write(h, "more"); err != nil {
		t.Fatal(err)
	}
	unharmed(t, b, g)
	if got, err := b.read(h); err != nil || got != "more" {
		t.Errorf("%q, %v", got, err)
	}
	x.atRest(a)
}

// TestOwnersWriterCut: a cut ends what the owner's own gateway holds.
func TestOwnersWriterCut(t *testing.T) {
	x, a, b, h, _ := ownWriter(t, causeway.FileSync)
	if _, err := b.access.SetAttr(t.Context(), gatewaytest.Root(), h, &causeway.SetAttr{Mask: causeway.SetSize}, nil); err != nil {
		t.Fatal(err)
	}
	if err := a.store.Persist(t.Context()); err != nil { // from here on the blocks are free
		t.Fatal(err)
	}
	g := fill(t, b)
	if err := a.write(h, "more"); err != nil {
		t.Fatal(err)
	}
	unharmed(t, b, g)
	x.atRest(a)
}

// TestOwnersWriterGoesOn: what the owner's gateway wrote by extents is there when it goes on without any. On a machine that does not let the
// gateway renew its lease in time the grant ends, and with it what was not committed: then the write verifier says so (RFC 1813 §3.3.7).
func TestOwnersWriterGoesOn(t *testing.T) {
	for range 20 {
		x, a, b, h, wrote := ownWriter(t, causeway.Unstable)
		if _, err := a.put(h, 1<<20, []byte("far"), causeway.FileSync); err != nil {
			t.Fatal(err)
		}
		now, err := a.moves.Sync(t.Context(), gatewaytest.Root(), h, causeway.Span{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.read(h)
		x.atRest(a)
		if now.Verifier != wrote.Verifier {
			continue
		}
		if err != nil || !strings.HasPrefix(got, "mine") {
			t.Errorf("%q, %v", got, err)
		}
		return
	}
	t.Fatal("the grant ends too early each time")
}

// TestLapsedWriterTells: the grant of a writer by extents ends before it has committed. What it wrote is not there, and its write verifier says so.
func TestLapsedWriterTells(t *testing.T) {
	for range 20 {
		if lapsed(t) {
			return
		}
	}
	t.Fatal("what was written is committed too early each time")
}

// lapsed reports whether what was written was lost.
func lapsed(t *testing.T) bool {
	x, a, b, h, wrote := ownWriter(t, causeway.Unstable)
	defer x.atRest(a)
	a.pause()
	time.Sleep(2 * x.lease)
	a.resume()
	write := func() error {
		_, err := a.moves.Write(t.Context(), gatewaytest.Root(), h, 1<<20, []byte("far"), causeway.FileSync)
		return err
	}
	for begun := time.Now(); write() != nil; time.Sleep(x.lease / 40) {
		if time.Since(begun) > 30*time.Second {
			t.Fatal(write())
		}
	}
	now, err := a.moves.Sync(t.Context(), gatewaytest.Root(), h, causeway.Span{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.read(h)
	if err != nil {
		t.Fatal(err)
	}
	lost := !strings.HasPrefix(got, "mine")
	if lost && now.Verifier == wrote.Verifier {
		t.Error("what was written is lost, and nobody is told")
	}
	return lost
}
