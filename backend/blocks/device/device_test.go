package device

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"causeway"
	"causeway/backend"
)

// TestFence: what a fence or a claim came before is refused, what came after it is done.
func TestFence(t *testing.T) {
	d, ctx := New(512, 8), t.Context()
	one, two := causeway.Epoch{Revision: 1}, causeway.Epoch{Revision: 2}
	key, _ := d.Register(ctx, 1, "a")
	other, _ := d.Register(ctx, 1, "b")
	write := func(e causeway.Epoch, key uint64) error {
		return d.Write(ctx, 1, backend.Tag{Epoch: e, Key: key}, 512, bytes.Repeat([]byte{byte(key)}, 512))
	}
	if err := errors.Join(d.Claim(ctx, 1, one), write(one, key), d.Fence(ctx, 1, one, "a"), write(one, other)); err != nil {
		t.Fatal(err)
	}
	if err := write(one, key); !errors.Is(err, backend.ErrFenced) {
		t.Fatal("a fenced key writes:", err)
	}
	again, _ := d.Register(ctx, 1, "a")
	if err := errors.Join(write(one, again), d.Claim(ctx, 1, two)); err != nil || again == key {
		t.Fatal(err)
	}
	if write(one, again) != causeway.ErrStaleEpoch || d.Fence(ctx, 1, one, "b") != causeway.ErrStaleEpoch || d.Claim(ctx, 1, one) != causeway.ErrStaleEpoch {
		t.Fatal("an earlier owner is heard")
	}
	if err := d.Read(ctx, 1, backend.Tag{Epoch: one, Key: again}, 512, make([]byte, 512)); err != causeway.ErrStaleEpoch {
		t.Fatal(err)
	}
	for off, n := range map[uint64]int{1: 512, 512: 511, 8 * 512: 512, 1<<64 - 512: 1024} {
		if d.Write(ctx, 1, backend.Tag{Epoch: two, Key: again}, off, make([]byte, n)) == nil {
			t.Error("wrote", n, "at", off)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add((&request{op: opWrite, volume: 1, tag: backend.Tag{Epoch: causeway.Epoch{Revision: 2}, Key: 3}, off: 512, data: []byte("data")}).append(nil))
	f.Add((&request{op: opFence, volume: 1, holder: "a"}).append(nil))
	f.Add((&request{op: opRead, volume: 1, n: 4096}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readRequest(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := readRequest(bytes.NewReader(r.append(nil)))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add((&reply{data: []byte("data")}).append(nil), 4)
	f.Add((&reply{err: backend.ErrFenced}).append(nil), 4)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		_, _ = readReply(bytes.NewReader(b), make([]byte, max(0, min(n, 1<<16))))
	})
}
