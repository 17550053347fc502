package shadow

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"causeway"
)

// heldFormat is the format number of records of kind KindHeld.
const heldFormat = 1

type storedHeld struct {
	Format int           `json:"format"`
	Held   causeway.Held `json:"held"`
}

// HeldRecord makes a record of what a client holds, or of its being given back.
func HeldRecord(h *causeway.Held) Record {
	r := Record{Kind: KindHeld, Name: nameOf(h)}
	if h.Gone {
		return r
	}
	// Names of clients are bytes of their choice, which text would not keep.
	stored := storedHeld{heldFormat, *h}
	stored.Held.Owner.Client, stored.Held.Owner.Opaque, stored.Held.Lease.Client, stored.Held.Name = "", "", "", ""
	data, err := json.Marshal(stored)
	if err != nil {
		panic(err) // plain values only
	}
	r.Data = appendStrings(nil, h.Owner.Client, h.Owner.Opaque, h.Lease.Client, h.Name)
	r.Data = append(r.Data, data...)
	return r
}

// HeldOf is the inverse of HeldRecord for a record that has bytes.
func HeldOf(r Record) (causeway.Held, error) {
	var texts [4]string
	rest := r.Data
	for i := range texts {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return causeway.Held{}, fmt.Errorf("shadow: a record of %d bytes is cut off", len(r.Data))
		}
		texts[i], rest = string(rest[used:used+int(n)]), rest[used+int(n):]
	}
	var stored storedHeld
	if err := json.Unmarshal(rest, &stored); err != nil {
		return causeway.Held{}, fmt.Errorf("shadow: %w", err)
	}
	if stored.Format != heldFormat {
		return causeway.Held{}, fmt.Errorf("shadow: format %d of a record is not known", stored.Format)
	}
	h := stored.Held
	h.Owner.Client, h.Owner.Opaque, h.Lease.Client, h.Name = texts[0], texts[1], texts[2], texts[3]
	return h, nil
}

// nameOf returns the name of what is held among all that is held in the volume: see [causeway.Held].
func nameOf(h *causeway.Held) string {
	b := []byte{byte(h.Kind), byte(h.Owner.Kind), byte(h.Lease.Kind)}
	b = append(b, h.Handle.Object[:]...)
	b = append(b, h.Open[:]...)
	b = append(b, h.Lease.Key[:]...)
	if h.Kind == causeway.HeldLock {
		b = binary.BigEndian.AppendUint64(b, h.Span.Offset)
		b = binary.BigEndian.AppendUint64(b, h.Span.Length)
	}
	return string(appendStrings(b, h.Owner.Client, h.Owner.Opaque, h.Lease.Client))
}

func appendStrings(b []byte, texts ...string) []byte {
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return b
}
