package shadow

import (
	"reflect"
	"testing"

	"causeway"
)

func TestHeldRecord(t *testing.T) {
	h := causeway.Held{
		Kind: causeway.HeldLock, Handle: causeway.Handle{Volume: 1, Object: causeway.ObjectID{2}},
		Owner: causeway.Owner{Kind: causeway.OwnerNLM, Client: "host\xff@192.0.2.1", Opaque: "\x00\x01\xfe"}, Gateway: "g1", Serial: 7,
		Span: causeway.Span{Offset: 5, Length: causeway.ToEOF}, Exclusive: true, Name: "\x80name",
		Lease: causeway.LeaseID{Kind: causeway.Lease, Client: "\xf0", Key: causeway.LeaseKey{9}}, Epoch: 3,
	}
	got, err := HeldOf(HeldRecord(&h))
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Fatalf("%+v, %v", got, err)
	}
	gone := h
	gone.Gone, gone.Serial = true, 8
	if r := HeldRecord(&gone); len(r.Data) != 0 || r.Name != HeldRecord(&h).Name {
		t.Error("giving back does not name what was held")
	}
	others := []causeway.Held{h, h, h, h, h}
	others[0].Span.Offset++
	others[1].Owner.Opaque += "x"
	others[2].Handle.Object[31]++
	others[3].Open[0]++
	others[4].Owner.Client, others[4].Owner.Opaque = h.Owner.Client+h.Owner.Opaque, ""
	for i := range others {
		if HeldRecord(&others[i]).Name == HeldRecord(&h).Name {
			t.Error(i, "has the same name")
		}
	}
}

func FuzzHeld(f *testing.F) {
	f.Add(HeldRecord(&causeway.Held{Kind: causeway.HeldOpen, Name: "x"}).Data)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := HeldOf(Record{Data: data})
		if err != nil || h.Gone {
			return
		}
		if again, err := HeldOf(HeldRecord(&h)); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatal(h, again, err)
		}
	})
}
