package table

import (
	"testing"

	"causeway"
)

// TestReleaseVia: what was asked for by way of one gateway ends, and what was asked for again by way of another one stays, in copies of the table too.
func TestReleaseVia(t *testing.T) {
	for _, copied := range []bool{false, true} {
		owner := func(name string) causeway.Owner {
			return causeway.Owner{Kind: causeway.OwnerAware, Client: "c", Opaque: name}
		}
		h, table := causeway.Handle{Volume: 1}, New(Limits{})
		table.ObserveChanges()
		lock := func(table *Table, from, name string, off uint64) causeway.Code {
			_, code := table.LockFrom(from, h, owner(name), Request{Span: causeway.Span{Offset: off, Length: 1}, Exclusive: true})
			return code
		}
		for _, l := range []struct {
			from, owner string
			off         uint64
		}{{"g1", "stays", 0}, {"g1", "stays", 2}, {"g1", "gone", 1}, {"g2", "stays", 0}, {"g2", "new", 3}} {
			if code := lock(table, l.from, l.owner, l.off); code != causeway.OK {
				t.Fatal(l, code)
			}
		}
		if copied {
			next := New(Limits{})
			for _, c := range table.Changes() {
				if code := next.AssertHeld(&c); code != causeway.OK {
					t.Fatal(c, code)
				}
			}
			table = next
		}
		table.ReleaseVia(Client{Kind: causeway.OwnerAware, Name: "c"}, "g1")
		for off, want := range []causeway.Code{causeway.ErrLocked, causeway.OK, causeway.ErrLocked, causeway.ErrLocked} {
			if got := lock(table, "g3", "other", uint64(off)); got != want {
				t.Errorf("copied %v, byte %d: %v", copied, off, got)
			}
		}
	}
}
