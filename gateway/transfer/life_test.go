package transfer

import (
	"context"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

// TestHeldUpWrite: a write that came before its gateway was cut off is not done after it has rejoined.
func TestHeldUpWrite(t *testing.T) {
	var life atomic.Uint64
	store := mem.New(mem.Config{Generation: 1, Mode: 0o777, MaxBytes: 1 << 20})
	names := access.New(access.Config{})
	names.Attach(&causeway.Volume{ID: 1, Name: "v"}, store)
	e := New(Config{Grants: names, Life: life.Load, Now: nil})
	defer e.Close()
	e.Attach(1, store)
	ctx, c := context.Background(), &gateway.Caller{}
	root, err := names.Root(ctx, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := names.Create(ctx, c, root.Handle, "f", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644}})
	if err != nil {
		t.Fatal(err)
	}
	c.Life = life.Load() + 1
	if _, err := e.Write(ctx, c, f.Handle, 0, []byte("first"), causeway.Unstable); err != nil {
		t.Fatal(err)
	}
	life.Add(1)
	if _, err := e.Write(ctx, c, f.Handle, 0, []byte("later"), causeway.Unstable); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error("acknowledged:", err)
	}
	got := make([]byte, 5)
	if _, err := e.Read(ctx, &gateway.Caller{}, f.Handle, 0, got); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
}
