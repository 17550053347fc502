package table

import (
	"fmt"
	"testing"

	"causeway"
)

// TestParties: one user, or one address, does not take all there is by calling itself by ever more names; others have their part.
func TestParties(t *testing.T) {
	for kind, name := range map[causeway.OwnerKind]func(party, client int) string{
		causeway.OwnerSMB:   func(party, client int) string { return fmt.Sprintf("%016d%04d", client, party) },
		causeway.OwnerNLM:   func(party, client int) string { return fmt.Sprintf("host%d@evil@10.0.0.%d", client, party) },
		causeway.OwnerAware: func(party, client int) string { return fmt.Sprintf("%032x@fe80::%d", client, party) },
	} {
		tb, h := New(Limits{Locks: 400, LocksPerClient: 30, Waiting: 400, WaitingPerClient: 30, Opens: 400, OpensPerClient: 30}), object1("f")
		tb.Lock(h, owner1("holder"), Request{Span: causeway.Span{Offset: 1 << 40, Length: 1}, Exclusive: true})
		locks, waits, opens := 0, 0, 0
		fill := func(party, clients int) {
			locks, waits, opens = 0, 0, 0
			for client := range clients {
				o := causeway.Owner{Kind: kind, Client: name(party, client), Opaque: "0123456789abcdef"}
				for i := range 30 {
					at := uint64(party)<<20 + uint64(client)<<8 + uint64(i)*2
					if _, code := tb.Lock(h, o, Request{Span: causeway.Span{Offset: at, Length: 1}, Exclusive: true}); code == causeway.OK {
						locks++
					}
					w := o
					w.Opaque = fmt.Sprintf("%016d", i)
					if _, code := tb.Lock(h, w, Request{Span: causeway.Span{Offset: 1 << 40, Length: 1}, Exclusive: true, Wait: true}); code == causeway.ErrBlocked {
						waits++
					}
					id := causeway.OpenID{byte(party), byte(client), byte(i), 1}
					if _, _, code := tb.Open(&OpenRequest{Held: causeway.Held{Handle: h, Owner: o, Open: id, Access: causeway.FileReadData, Share: 7}}); code == causeway.OK {
						opens++
					}
				}
			}
		}
		fill(1, 40)
		if locks != 100 || waits != 100 || opens != 200 {
			t.Errorf("kind %d: one has %d locks, %d that it waits for, %d opens", kind, locks, waits, opens)
		}
		fill(2, 1)
		if locks != 30 || waits != 30 || opens != 30 {
			t.Errorf("kind %d: another one has %d locks, %d that it waits for, %d opens", kind, locks, waits, opens)
		}
		if err := tb.check(); err != nil {
			t.Error(err)
		}
		tb.Drop(h.Volume)
		if len(tb.parties) != 0 || len(tb.clients) != 0 {
			t.Errorf("kind %d: %d parties of %d clients are left", kind, len(tb.parties), len(tb.clients))
		}
	}
}
