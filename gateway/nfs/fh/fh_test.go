package fh_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
)

var (
	older  = causeway.HandleKey{ID: 1, Secret: [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}
	newer  = causeway.HandleKey{ID: 2, Secret: [16]byte{9, 9, 9}}
	object = causeway.ObjectID{0xaa, 0xbb, 31: 0xcc}
)

func catalog(t testing.TB, vs ...*causeway.Volume) *gateway.Catalog {
	t.Helper()
	cat := &gateway.Catalog{}
	if err := cat.Publish(vs); err != nil {
		t.Fatal(err)
	}
	return cat
}

// TestGolden holds the layout: handles that clients hold must stay good for ever. The MAC is what "openssl mac SIPHASH" says.
func TestGolden(t *testing.T) {
	v := &causeway.Volume{ID: 0x0102030405060708, Keys: []causeway.HandleKey{older}}
	got := hex.EncodeToString(fh.Append(nil, v, object))
	const want = "01010000" + "0102030405060708" +
		"aabb0000000000000000000000000000000000000000000000000000000000cc" + "eb7e85e54cfe1e0b3f1a2cdf0d3abc45"
	if got != want {
		t.Errorf("handle\n got %s\nwant %s", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	v := &causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{older}}
	wire := fh.Append([]byte("head"), v, object)[4:]
	if len(wire) != fh.Size {
		t.Fatal("length", len(wire))
	}
	rotated := &causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{newer, older}}
	for _, cat := range []*gateway.Catalog{catalog(t, v), catalog(t, rotated)} {
		h, got, err := fh.Parse(wire, cat)
		if err != nil || h.Object != object || h.Volume != 7 || got == nil || got.ID != 7 {
			t.Error(h, got, err)
		}
	}
	if again := fh.Append(nil, rotated, object); bytes.Equal(again, wire) || again[1] != newer.ID {
		t.Error("the first key must sign")
	}
	if got := fh.Append(nil, &causeway.Volume{ID: 7}, object); len(got) != 0 {
		t.Error("a volume without keys made a handle")
	}
}

func TestForged(t *testing.T) {
	v := &causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{older}}
	other := &causeway.Volume{ID: 8, Name: "w", Keys: []causeway.HandleKey{newer}}
	cat := catalog(t, v, other)
	wire := fh.Append(nil, v, object)
	for bit := range len(wire) * 8 {
		forged := bytes.Clone(wire)
		forged[bit/8] ^= 1 << (bit % 8)
		_, _, err := fh.Parse(forged, cat)
		want := causeway.ErrBadHandle
		if bit/8 >= 4 && bit/8 < 12 && cat.ByID(causeway.VolumeID(forged[11])) == nil {
			want = causeway.ErrStale
		}
		if bit/8 >= 4 && bit/8 < 11 {
			want = causeway.ErrStale
		}
		if !errors.Is(err, want) {
			t.Errorf("bit %d: %v, want %v", bit, err, want)
		}
	}
	for n := range len(wire) {
		if _, _, err := fh.Parse(wire[:n], cat); err != causeway.ErrBadHandle {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, _, err := fh.Parse(append(bytes.Clone(wire), 0), cat); err != causeway.ErrBadHandle {
		t.Error("long:", err)
	}
	if _, _, err := fh.Parse(wire, catalog(t, other)); err != causeway.ErrStale {
		t.Error("volume gone:", err)
	}
}

func FuzzParse(f *testing.F) {
	v := &causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{newer, older}}
	cat := catalog(f, v)
	f.Add(fh.Append(nil, v, object))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		h, got, err := fh.Parse(wire, cat)
		if err != nil {
			return
		}
		for i := range v.Keys {
			signer := &causeway.Volume{ID: got.ID, Keys: v.Keys[i : i+1]}
			if bytes.Equal(fh.Append(nil, signer, h.Object), wire) {
				return
			}
		}
		t.Errorf("%x was accepted and no key makes it", wire)
	})
}

func TestNoAllocation(t *testing.T) {
	v := &causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{older}}
	cat, buf := catalog(t, v), make([]byte, 0, fh.Size)
	if n := testing.AllocsPerRun(100, func() {
		buf = fh.Append(buf[:0], v, object)
		if _, _, err := fh.Parse(buf, cat); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Error("allocations:", n)
	}
}

func BenchmarkParse(b *testing.B) {
	v := &causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{older}}
	cat := catalog(b, v)
	wire := fh.Append(nil, v, object)
	for b.Loop() {
		if _, _, err := fh.Parse(wire, cat); err != nil {
			b.Fatal(err)
		}
	}
}
