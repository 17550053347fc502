package nfs3

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
)

// reply builds a message: the header of an accepted success and then words and strings.
func reply(xid uint32, result ...any) []byte {
	var r Record
	for _, word := range []uint32{xid, 1, 0, 0, 0, 0} {
		r.Uint32(word)
	}
	for _, part := range result {
		switch v := part.(type) {
		case int:
			r.Uint32(uint32(v))
		case uint64:
			r.Uint64(v)
		case []byte: // an opaque
			r.Opaque(v)
		case attr:
			r = append(r, make([]byte, v)...)
		}
	}
	return r
}

// attr is so many bytes that nobody looks at.
type attr int

func result(t *testing.T, message []byte) *Reply {
	t.Helper()
	xid, r := Accept(message)
	if r.Err != nil || xid != 7 {
		t.Fatalf("xid %d, %v", xid, r.Err)
	}
	return &r
}

func TestCallBytes(t *testing.T) {
	record := NewCall(ProgNFS, VersNFS, Lookup, Sys(1000, 100, 5))
	record.Opaque([]byte{1, 2, 3, 4, 5})
	record.Opaque([]byte("ab"))
	record = record.Seal(0)
	record.SetXID(0xcafe)
	want := "00000000" + "0000cafe" + "00000000" + "00000002" + "000186a3" + "00000003" + "00000003" +
		"00000001" + "00000020" + "00000001" + "00000005" + hex.EncodeToString([]byte("bench")) + "000000" +
		"000003e8" + "00000064" + "00000001" + "00000005" + "00000000" + "00000000" +
		"00000005" + "0102030405000000" + "00000002" + "61620000"
	raw, err := hex.DecodeString(want)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(raw, uint32(len(raw)-4)|lastFragment)
	if !bytes.Equal(record, raw) {
		t.Errorf("got  %x\nwant %x", []byte(record), raw)
	}
}

func TestResults(t *testing.T) {
	handle, data := []byte("handle"), []byte("some data")
	r := result(t, reply(7, 0, handle, 0, 1, attr(84)))
	if got, err := r.LookupResult(); err != nil || !bytes.Equal(got, handle) {
		t.Errorf("LOOKUP: %q, %v", got, err)
	}
	r = result(t, reply(7, 0, 1, attr(84), len(data), 1, data))
	if got, err := r.ReadResult(len(data)); err != nil || !bytes.Equal(got, data) {
		t.Errorf("READ: %q, %v", got, err)
	}
	r = result(t, reply(7, 0, 1, attr(24), 1, attr(84), 100, 2, uint64(99)))
	if got, err := r.WriteResult(100, FileSync); err != nil || got != 99 {
		t.Errorf("WRITE: %d, %v", got, err)
	}
	r = result(t, reply(7, 0, 1, handle, 0, 0, 1, attr(84)))
	if got, err := r.CreateResult(); err != nil || !bytes.Equal(got, handle) {
		t.Errorf("CREATE: %q, %v", got, err)
	}
	r = result(t, reply(7, 0, 0, uint64(5), 1, uint64(1), []byte("a"), uint64(11), 1, attr(84), 1, handle,
		1, uint64(2), []byte("bcd"), uint64(12), 0, 0, 0, 1))
	if n, cookie, verifier, eof, err := r.DirResult(); n != 2 || cookie != 12 || verifier != 5 || !eof || err != nil {
		t.Errorf("READDIRPLUS: %d %d %d %v %v", n, cookie, verifier, eof, err)
	}
	r = result(t, reply(7, 0, 0, 0))
	if err := r.RemoveResult(); err != nil {
		t.Errorf("REMOVE: %v", err)
	}
}

func TestResultsThatAreWrong(t *testing.T) {
	r := result(t, reply(7, 2, 0, 0))
	if err := r.RemoveResult(); !errors.Is(err, NoEnt) {
		t.Errorf("REMOVE of nothing: %v", err)
	}
	r = result(t, reply(7, 0, 0, 8, 0, make([]byte, 8)))
	if _, err := r.ReadResult(9); err == nil {
		t.Error("a short READ passed")
	}
	r = result(t, reply(7, 0, 0, 9, 0, make([]byte, 8)))
	if _, err := r.ReadResult(9); err == nil {
		t.Error("a READ with less data than its count passed")
	}
	r = result(t, reply(7, 0, 0, 0, 100, 0, uint64(1)))
	if _, err := r.WriteResult(100, DataSync); err == nil {
		t.Error("a WRITE that is less stable than asked passed")
	}
	r = result(t, reply(7, 0, 0, 0, 0))
	if err := r.RemoveResult(); err == nil {
		t.Error("bytes behind the result passed")
	}
	for _, word := range []int{1, 2, 5} { // not a reply, denied, not a success
		m := reply(7)
		m[4*word+3] ^= 1
		if _, r := Accept(m); r.Err == nil {
			t.Errorf("a bad word %d of the header passed", word)
		}
	}
}

// FuzzReply reads random messages as every result; none may panic or loop.
func FuzzReply(f *testing.F) {
	f.Add(reply(7, 0, 0, uint64(5), 1, uint64(1), []byte("a"), uint64(11), 0, 0, 0, 1))
	f.Add(reply(7, 0, 1, attr(84), 4, 1, []byte("data")))
	f.Fuzz(func(t *testing.T, message []byte) {
		_, r := Accept(message)
		for _, judge := range []func(*Reply) error{
			func(r *Reply) error { _, err := r.GetAttrResult(); return err },
			func(r *Reply) error { _, err := r.LookupResult(); return err },
			func(r *Reply) error { _, err := r.ReadResult(4); return err },
			func(r *Reply) error { _, err := r.WriteResult(4, 0); return err },
			func(r *Reply) error { _, err := r.CreateResult(); return err },
			func(r *Reply) error { _, err := r.CommitResult(); return err },
			func(r *Reply) error { _, _, _, _, err := r.DirResult(); return err },
			func(r *Reply) error { return r.RemoveResult() },
		} {
			again := r
			judged := judge(&again)
			if r.Err != nil && judged == nil {
				t.Error("an error was forgotten")
			}
		}
	})
}
