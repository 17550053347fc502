package grants

import (
	"encoding/binary"
	"testing"
	"time"

	"causeway"
)

// TestHoard: a holder that asks for ever more and answers no recall is recalled from once for each, costs others nothing, and loses all within a lease.
func TestHoard(t *testing.T) {
	const most, asked = 1 << 10, 1 << 18
	at := func(i int) (h causeway.Handle) {
		h.Volume = 7
		binary.BigEndian.PutUint64(h.Object[:], uint64(i))
		return h
	}
	tb := New(Rules{Exclusive: true}, Limits{Holdings: most})
	recalls, begun := 0, time.Now()
	for i := range asked {
		a := Ask{Handle: at(i), Holder: "hoarder", Mode: causeway.IORead, Span: whole, NoWait: true}
		if _, _, code := tb.Ask(0, a); code != causeway.OK {
			t.Fatal(code)
		}
		recalls += len(tb.Effects())
		if time.Since(begun) > time.Minute { // a second, if not each looks at all that are recalled
			t.Fatal(i, "asks take a minute")
		}
	}
	if recalls != asked-most || tb.Foreign() != asked {
		t.Fatal(recalls, "recalls of", tb.Foreign())
	}
	tb.Tick(tb.Lease())
	if tb.Len() != 0 || tb.spare.Len() != 0 || tb.told.Len() != 0 {
		t.Fatal(tb.Len(), tb.spare.Len(), tb.told.Len(), "after a lease")
	}
}
