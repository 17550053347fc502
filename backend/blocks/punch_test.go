package blocks_test

import (
	"bytes"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/blocks/device"
)

// TestPunch: what is punched reads as zeros, also for the next owner, and its blocks are free.
func TestPunch(t *testing.T) {
	d := device.New(4096, 4096)
	s, ctx := own(t, d, 0), t.Context()
	id, _, err := s.Create(ctx, s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(ctx, id, causeway.IOReadWrite, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("full"), 10<<10)
	if _, err := o.WriteAt(ctx, want, 0); err != nil {
		t.Fatal(err)
	}
	for _, span := range []causeway.Span{{Offset: 100, Length: 200}, {Offset: 5000, Length: 9000}, {Offset: 4096 * 5, Length: 4096}, {Offset: 39000, Length: causeway.ToEOF}} {
		if err := o.(backend.Puncher).Punch(ctx, span); err != nil {
			t.Fatal(err)
		}
		clear(want[span.Offset:min(span.End(), uint64(len(want)))])
	}
	if a, err := s.Stat(ctx, id); err != nil || a.Size != uint64(len(want)) || a.Used != 4096*8 {
		t.Errorf("%d bytes in %d, %v", a.Size, a.Used, err)
	}
	if err := o.Sync(ctx, false); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := make([]byte, len(want))
		if n, err := o.ReadAt(ctx, got, 0); err != nil || n != len(want) || !bytes.Equal(got, want) {
			t.Fatal("it reads otherwise:", n, err)
		}
		s = own(t, d, 0)
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if o, err = s.Open(ctx, id, causeway.IORead, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.(backend.Puncher).Punch(ctx, causeway.Span{Length: 1}); causeway.CodeOf(err) != causeway.ErrAccess {
		t.Error("punched a file that is open to read:", err)
	}
}
