package contexts

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/gateway/smb/ntstatus"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// The list of [MS-SMB2] 4.x that a Windows client sends with an open: durable handle, maximal access, on-disk id.
const windowsList = "28000000 1000 0400 0000 1800 10000000 44486e51 00000000 00000000000000000000000000000000" +
	"18000000 1000 0400 0000 1800 00000000 4d784163 00000000" +
	"00000000 1000 0400 0000 1800 00000000 51466964 00000000"

func TestParse(t *testing.T) {
	list, err := Parse(unhex(windowsList))
	if err != nil || len(list) != 3 || list[0].Name != DurableRequest || len(list[0].Data) != 16 || list[1].Name != MaximalAccess || list[2].Name != QueryOnDiskID {
		t.Fatal(list, err)
	}
	if Find(list, QueryOnDiskID) != &list[2] || Find(list, Lease) != nil {
		t.Error("find")
	}
	for name, c := range map[string]struct{ at, to byte }{
		"next past the end": {0, 0x78}, "next not aligned": {0, 0x24}, "next in the header": {0, 8}, "name in the header": {4, 8},
		"name past the end": {4, 0x26}, "short name": {6, 3}, "long name": {7, 1}, "data in the name": {10, 0x10}, "data not aligned": {10, 0x1c},
		"data past the end": {12, 0x11}, "huge data": {15, 0xff}, "name twice": {0x28 + 16, 0},
	} {
		b := unhex(windowsList)
		b[c.at] = c.to
		if name == "name twice" {
			copy(b[0x28+16:], "DHnQ")
		}
		if list, err := Parse(b); err != ntstatus.InvalidParameter {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	var many []Context
	for i := range MaxContexts + 1 {
		many = append(many, Context{Name: "abc" + string(rune('A'+i))})
	}
	if _, err := Parse(Append(nil, many)); err != ntstatus.InvalidParameter {
		t.Error("too many:", err)
	}
	if got, err := Parse(Append(nil, many[1:])); err != nil || !reflect.DeepEqual(got, many[1:]) {
		t.Error(got, err)
	}
}

func TestAppend(t *testing.T) {
	list := []Context{MaximalAccessAnswer(0, 0x1f01ff), OnDiskIDAnswer(7, 9)}
	want := "20000000 1000 0400 0000 1800 08000000 4d784163 00000000 00000000 ff011f00" +
		"00000000 1000 0400 0000 1800 20000000 51466964 00000000 0700000000000000 0900000000000000 00000000000000000000000000000000"
	if got := Append(nil, list); !bytes.Equal(got, unhex(want)) {
		t.Errorf("%x", got)
	}
}

func TestLease(t *testing.T) {
	key := "000102030405060708090a0b0c0d0e0f"
	parent := "101112131415161718191a1b1c1d1e1f"
	v1, err := DecodeLease(unhex(key + "07000000 00000000 0000000000000000"))
	if err != nil || v1.Version != 1 || v1.State != LeaseRead|LeaseHandle|LeaseWrite || v1.Key[15] != 15 {
		t.Error(v1, err)
	}
	raw := unhex(key + "03000000 04000000 0000000000000000" + parent + "0500 0000")
	v2, err := DecodeLease(raw)
	if err != nil || v2.Version != 2 || v2.Epoch != 5 || v2.ParentKey[0] != 16 {
		t.Error(v2, err)
	}
	if !bytes.Equal(v2.Encode(), raw) || len(v1.Encode()) != 32 {
		t.Errorf("%x", v2.Encode())
	}
	if _, err := DecodeLease(raw[:51]); err != ntstatus.InvalidParameter {
		t.Error(err)
	}
	for s, want := range map[LeaseState]bool{0: true, 1: true, 7: true, 4: false, 2: false, 8: false, 9: false} {
		if s.Valid() != want {
			t.Error(s)
		}
	}
}

func TestDurable(t *testing.T) {
	id := "000102030405060708090a0b0c0d0e0f"
	q, err := DecodeDurableV2(unhex("60ea0000 02000000 0000000000000000" + id))
	if err != nil || q.Timeout != time.Minute || q.Flags != PersistentFlag || q.CreateID[1] != 1 {
		t.Error(q, err)
	}
	c, err := DecodeReconnectV2(unhex("0100000000000000 0200000000000000" + id + "00000000"))
	if err != nil || c.File != (FileID{1, 2}) || c.CreateID[2] != 2 {
		t.Error(c, err)
	}
	if f, err := DecodeReconnect(unhex("0100000000000000 0200000000000000")); err != nil || f != (FileID{1, 2}) {
		t.Error(f, err)
	}
	if got := DurableV2Answer(time.Minute, 0); !bytes.Equal(got.Data, unhex("60ea0000 00000000")) {
		t.Errorf("%x", got.Data)
	}
	if got := DurableV2Answer(1<<62, 0); !bytes.Equal(got.Data[:4], unhex("ffffffff")) {
		t.Errorf("%x", got.Data)
	}
	if len(DurableAnswer().Data) != 8 || DecodeDurable(make([]byte, 16)) != nil || DecodeDurable(nil) == nil {
		t.Error("DHnQ")
	}
}

func TestSimple(t *testing.T) {
	if n, err := DecodeAllocationSize(unhex("0001000000000000")); n != 256 || err != nil {
		t.Error(n, err)
	}
	if _, err := DecodeAllocationSize(unhex("0000000000000080")); err == nil {
		t.Error("negative")
	}
	if n, err := DecodeMaximalAccess(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if _, err := DecodeMaximalAccess(make([]byte, 4)); err == nil {
		t.Error("4 bytes")
	}
	if w, err := DecodeTimewarp(unhex("00803ed5deb19d01")); w != 116444736000000000 || err != nil {
		t.Error(w, err)
	}
}

// What a Mac asks at its first open of a share.
func TestApple(t *testing.T) {
	q, err := DecodeApple(unhex("01000000 00000000 0700000000000000 0700000000000000"))
	if err != nil || q.Wanted != 7 {
		t.Fatal(q, err)
	}
	a := AppleAnswer{Server: AppleUnixBased, Volume: AppleFullSync, Model: "Xserve"}
	want := "01000000 00000000 0700000000000000 0400000000000000 0400000000000000 00000000 0c000000 580073006500720076006500"
	if got := a.Context(q); got.Name != Apple || !bytes.Equal(got.Data, unhex(want)) {
		t.Errorf("%x", got.Data)
	}
	if got := a.Context(AppleQuery{Wanted: AppleVolumeCaps | 64}); !bytes.Equal(got.Data, unhex("01000000 00000000 0200000000000000 0400000000000000")) {
		t.Errorf("%x", got.Data)
	}
	if _, err := DecodeApple(unhex("02000000 00000000")); err != ntstatus.NotSupported {
		t.Error(err)
	}
	if _, err := DecodeApple(unhex("01000000 00000000")); err != ntstatus.InvalidParameter {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(unhex(windowsList))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(Append(nil, list))
		if err != nil || len(again) != len(list) {
			t.Fatal(list, again, err)
		}
		for i, c := range list {
			if again[i].Name != c.Name || !bytes.Equal(again[i].Data, c.Data) {
				t.Fatal(c, again[i])
			}
			decodeAll(c.Data)
		}
	})
}

func decodeAll(b []byte) {
	if l, err := DecodeLease(b); err == nil {
		l.Encode()
	}
	_ = DecodeDurable(b)
	_, _ = DecodeReconnect(b)
	_, _ = DecodeDurableV2(b)
	_, _ = DecodeReconnectV2(b)
	_, _ = DecodeAllocationSize(b)
	_, _ = DecodeMaximalAccess(b)
	_, _ = DecodeTimewarp(b)
	_, _ = DecodeApple(b)
}
