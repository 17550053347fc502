package fscc

import (
	"bytes"
	"testing"

	"causeway/gateway/smb/ntstatus"
)

func TestEAsComeBack(t *testing.T) {
	list := []EA{{Name: []byte("A"), Value: []byte("one")}, {Name: []byte("LONGER"), Value: nil}, {Name: []byte("Z"), Value: bytes.Repeat([]byte{7}, 300)}}
	b, err := AppendEAs([]byte("before"), list, 1000)
	if err != nil {
		t.Fatal(err)
	}
	b = b[6:]
	if uint32(len(b)) != EASize(list) {
		t.Errorf("%d bytes, said to be %d", len(b), EASize(list))
	}
	got, err := DecodeEAs(b)
	if err != nil || len(got) != len(list) {
		t.Fatal(got, err)
	}
	for i := range got {
		if !bytes.Equal(got[i].Name, list[i].Name) || !bytes.Equal(got[i].Value, list[i].Value) {
			t.Errorf("%d: %q %q", i, got[i].Name, got[i].Value)
		}
	}
	if b, err := AppendEAs(nil, list, len(b)-1); err != ntstatus.BufferOverflow || len(b) == 0 {
		t.Error(len(b), err)
	}
	if b, err := AppendEAs(nil, list, 12); err != ntstatus.BufferTooSmall || len(b) != 0 {
		t.Error(len(b), err)
	}
	if _, err := AppendEAs(nil, nil, 12); err != ntstatus.NoEAsOnFile {
		t.Error(err)
	}
}
