package rpc

import (
	"bytes"
	"context"
	"testing"

	"causeway/gateway/nfs/xdr"
)

// words are big-endian integers.
func words(w ...uint32) []byte {
	e := xdr.Encoder{}
	for _, v := range w {
		e.Uint32(v)
	}
	return e.Bytes()
}

// answerBytes runs one record without a network.
func answerBytes(t testing.TB, s *Server, record []byte) ([]byte, Verdict) {
	c := Call{}
	groups := [maxGroups]uint32{}
	v := s.answer(context.Background(), &c, &groups, record)
	c.releaseFile()
	return c.Reply.Bytes(), v
}

func testServer(t testing.TB) *Server {
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(testProg, testVers, newTestProgram())
	s.Register(testProg, 1, newTestProgram())
	return s
}

// TestRejects: RFC 5531 §9, every way to be turned away.
func TestRejects(t *testing.T) {
	s := testServer(t)
	sys := func(body ...uint32) []byte {
		return append(words(9, 0, 2, testProg, testVers, procNull, 1, uint32(4*len(body))), append(words(body...), words(0, 0)...)...)
	}
	many := append([]uint32{0, 0, 5, 6, 17}, make([]uint32, 17)...)
	for name, c := range map[string]struct {
		record, reply []byte
		verdict       Verdict
	}{
		"null":          {words(9, 0, 2, testProg, testVers, procNull, 0, 0, 0, 0), words(9, 1, 0, 0, 0, 0), Done},
		"null v1":       {words(9, 0, 2, testProg, 1, procNull, 0, 0, 0, 0), words(9, 1, 0, 0, 0, 0), Done},
		"rpc version":   {words(9, 0, 3, testProg), words(9, 1, 1, 0, 2, 2), Done},
		"program":       {words(9, 0, 2, 1, 1, 0, 0, 0, 0, 0), words(9, 1, 0, 0, 0, 1), Done},
		"version":       {words(9, 0, 2, testProg, 2, 0, 0, 0, 0, 0), words(9, 1, 0, 0, 0, 2, 1, 3), Done},
		"procedure":     {words(9, 0, 2, testProg, testVers, 99, 0, 0, 0, 0), words(9, 1, 0, 0, 0, 3), Done},
		"garbage":       {words(9, 0, 2, testProg, testVers, procEcho, 0, 0, 0, 0, 77), words(9, 1, 0, 0, 0, 4), Done},
		"garbage asked": {words(9, 0, 2, testProg, testVers, procBad, 0, 0, 0, 0), words(9, 1, 0, 0, 0, 4), Done},
		"weak":          {words(9, 0, 2, testProg, testVers, procWeak, 0, 0, 0, 0), words(9, 1, 1, 1, 5), Done},
		"flavor":        {words(9, 0, 2, testProg, testVers, procNull, 6, 0, 0, 0), words(9, 1, 1, 1, 2), Done},
		"sys":           {sys(0, 0, 5, 6, 0), words(9, 1, 0, 0, 0, 0), Done},
		"sys short":     {sys(0, 0, 5, 6), words(9, 1, 1, 1, 1), Done},
		"sys groups":    {sys(many...), words(9, 1, 1, 1, 1), Done},
		"sys lies":      {sys(0, 0, 5, 6, 9, 1), words(9, 1, 1, 1, 1), Done},
		"sys machine":   {sys(0, 256, 5, 6, 0), words(9, 1, 1, 1, 1), Done},
		"cred too long": {words(9, 0, 2, testProg, testVers, procNull, 1, 401), words(9, 1, 1, 1, 1), Done},
		"verf too long": {words(9, 0, 2, testProg, testVers, procNull, 0, 0, 0, 401), words(9, 1, 1, 1, 3), Done},
		"dropped":       {words(9, 0, 2, testProg, testVers, procDrop, 0, 0, 0, 0), nil, Drop},
		"a reply":       {words(9, 1, 0, 0, 0, 0), nil, Drop},
		"cut":           {words(9, 0, 2, testProg), nil, hangUp},
		"empty":         {nil, nil, hangUp},
		"park forever":  {words(9, 0, 2, testProg, testVers, procFile, 0, 0, 0, 0), words(9, 1, 0, 0, 0, 5), Done},
	} {
		if name == "park forever" {
			s.Register(testProg, testVers, HandlerFunc(func(_ context.Context, c *Call) Verdict { return Park }))
		} else {
			s.Register(testProg, testVers, newTestProgram())
		}
		reply, verdict := answerBytes(t, s, c.record)
		if verdict != c.verdict || !bytes.Equal(reply, c.reply) {
			t.Errorf("%s: verdict %d, reply %x, want %x", name, verdict, reply, c.reply)
		}
	}
}

// FuzzCall feeds records to the server: it answers with something that is a reply to the same xid, or not at all.
func FuzzCall(f *testing.F) {
	s := testServer(f)
	f.Add(callBytes(1, testProg, testVers, procEcho, opaque([]byte("x"))))
	e := xdr.Encoder{}
	encodeCall(&e, 1, testProg, testVers, procWho, &ClientCred{Machine: "m", UID: 1, Groups: []uint32{1, 2}})
	f.Add(e.Bytes())
	f.Fuzz(func(t *testing.T, record []byte) {
		if len(record) >= 24 && (record[23] == procPanic || record[23] == procPark || record[23] == procSpin || record[23] == procFile) {
			return
		}
		reply, verdict := answerBytes(t, s, record)
		if verdict != Done {
			if len(reply) != 0 {
				t.Fatalf("verdict %d leaves %x", verdict, reply)
			}
			return
		}
		if len(reply) < 20 || !bytes.Equal(reply[:4], record[:4]) || !bytes.Equal(reply[4:8], words(msgReply)) {
			t.Fatalf("%x", reply)
		}
	})
}
