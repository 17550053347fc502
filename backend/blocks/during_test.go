package blocks_test

import (
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/blocks/device"
)

// TestDuring: what still runs of an earlier ownership takes no blocks back and cuts nothing, though the same gateway owns the
// volume again.
func TestDuring(t *testing.T) {
	s, ctx := own(t, device.New(4096, 4096), 0), t.Context()
	id, _, err := s.Create(ctx, s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o600})
	if err == nil {
		_, _, err = s.Extents(ctx, id, causeway.IOReadWrite, causeway.Span{Length: 8192})
	}
	if err != nil {
		t.Fatal(err)
	}
	first := causeway.Epoch{Revision: revisions.Load()}
	earlier := s.During(first)
	if earlier != s.During(first) {
		t.Fatal("one ownership is two stores")
	}
	if err := s.Own(ctx, causeway.Epoch{Revision: revisions.Add(1)}); err != nil {
		t.Fatal(err)
	}
	earlier.(backend.Mapper).Settle(id)
	if len(s.Provisional()) != 1 {
		t.Error("blocks of a writer were taken back")
	}
	if err := earlier.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetSize}); causeway.CodeOf(err) != causeway.ErrMoved {
		t.Error("cut in an earlier ownership:", err)
	}
	if _, err := s.During(first).Stat(ctx, id); causeway.CodeOf(err) != causeway.ErrMoved {
		t.Error("an ownership that is over answers:", err)
	}
}
