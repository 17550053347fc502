package wire

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// request makes a message of a fixed part and what follows it.
func request(c Command, fixed []byte, more ...byte) []byte {
	m := make([]byte, HeaderSize)
	h := Header{Command: c, Credits: 1, MessageID: 5, TreeID: 6, SessionID: 7}
	h.Put(m)
	return append(append(m, fixed...), more...)
}

func TestHeader(t *testing.T) {
	for _, want := range []Header{
		{CreditCharge: 2, Command: Read, Credits: 33, Flags: FlagReply | FlagSigned, Next: 128, MessageID: 1 << 40, TreeID: 9, SessionID: 1 << 60},
		{Command: Lock, Flags: FlagReply | FlagAsync, AsyncID: 1<<63 + 5, SessionID: 4},
	} {
		m := bytes.Repeat([]byte{0xee}, HeaderSize)
		want.Put(m)
		var got Header
		if err := got.Parse(m); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	var h Header
	for name, m := range map[string][]byte{
		"short": request(Echo, nil)[:HeaderSize-1], "magic": append([]byte{0xff}, request(Echo, nil)[1:]...),
		"size": append([]byte{0xfe, 'S', 'M', 'B', 65}, request(Echo, nil)[5:]...),
	} {
		if h.Parse(m) != ErrMalformed {
			t.Error(name, "was taken")
		}
	}
}

func TestElements(t *testing.T) {
	one := request(Echo, []byte{4, 0, 0, 0}, 0, 0, 0, 0)
	two := append(append([]byte(nil), one...), one...)
	PutNext(two, uint32(len(one)))
	first, rest, err := Element(two)
	if err != nil || len(first) != len(one) || len(rest) != len(one) {
		t.Fatal(len(first), len(rest), err)
	}
	if first, rest, err = Element(rest); err != nil || len(first) != len(one) || len(rest) != 0 {
		t.Fatal(len(first), len(rest), err)
	}
	for _, next := range []uint32{4, 8, 60, uint32(len(one)) + 4, uint32(len(one)) + 16, uint32(len(two)), 1<<32 - 8} {
		PutNext(two, next)
		if _, _, err := Element(two); err != ErrMalformed {
			t.Errorf("next element at %d: %v", next, err)
		}
	}
}

// TestOffsets: what a request points at must lie behind its fixed part and inside of it.
func TestOffsets(t *testing.T) {
	fixed := make([]byte, 48)
	le.PutUint16(fixed, 49)
	le.PutUint16(fixed[2:], HeaderSize+48)
	le.PutUint32(fixed[4:], 3)
	m := request(Write, fixed, 1, 2, 3)
	var w WriteRequest
	if err := w.Parse(m); err != nil || !bytes.Equal(w.Data, []byte{1, 2, 3}) {
		t.Fatal(w.Data, err)
	}
	for _, bad := range []struct{ off, n uint32 }{{HeaderSize, 3}, {HeaderSize + 47, 1}, {HeaderSize + 48, 4}, {HeaderSize + 51, 1}, {0xffff, 1}, {HeaderSize + 48, 1<<32 - 1}} {
		le.PutUint16(m[HeaderSize+2:], uint16(bad.off))
		le.PutUint32(m[HeaderSize+4:], bad.n)
		if w.Parse(m) != ErrMalformed {
			t.Errorf("%+v was taken: %d bytes", bad, len(w.Data))
		}
	}
}

func TestSMB1(t *testing.T) {
	message := func(list string) []byte {
		m := append([]byte{0xff, 'S', 'M', 'B', smb1Negotiate}, make([]byte, smb1Header-5+1)...)
		return append(append(m, byte(len(list)), byte(len(list)>>8)), list...)
	}
	for list, want := range map[string]Dialect{
		"\x02NT LM 0.12\x00":                                   0,
		"\x02NT LM 0.12\x00\x02SMB 2.002\x00":                  Dialect202,
		"\x02NT LM 0.12\x00\x02SMB 2.002\x00\x02SMB 2.???\x00": DialectAny,
	} {
		if d, err := SMB1Negotiate(message(list)); d != want || err != nil {
			t.Errorf("%q: %x, %v", list, d, err)
		}
	}
	for _, bad := range []string{"\x03SMB 2.002\x00", "\x02SMB 2.002"} {
		if d, err := SMB1Negotiate(message(bad)); err != ErrMalformed {
			t.Errorf("%q: %x, %v", bad, d, err)
		}
	}
	if _, err := SMB1Negotiate(message("\x02SMB 2.002\x00")[:40]); err != ErrMalformed {
		t.Error("cut message was taken")
	}
}

func TestUTF16(t *testing.T) {
	for _, s := range []string{"", "a", "grüß", "a𝄞b"} {
		if got, err := UTF16(AppendUTF16(nil, s)); got != s || err != nil {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for _, bad := range []string{"61", "00d8", "00d86100", "00dc"} {
		if got, err := UTF16(unhex(t, bad)); err != ErrMalformed {
			t.Errorf("%s: %q, %v", bad, got, err)
		}
	}
}

// TestNegotiateContexts round-trips what the server would answer through what a client would read: alignment and counts.
func TestNegotiateContexts(t *testing.T) {
	r := NegotiateReply{Dialect: Dialect311, Security: []byte("abc"), Salt: make([]byte, 32), HasCipher: true, Cipher: CipherAES128GCM, HasSigning: true, Signing: SignAESGMAC}
	b := r.Append(make([]byte, HeaderSize), 0)
	at := int(le.Uint32(b[HeaderSize+60:]))
	var got NegotiateRequest
	if err := got.parseContexts(b, HeaderSize+64, uint32(at), int(le.Uint16(b[HeaderSize+6:]))); err != nil {
		t.Fatal(err)
	}
	if at%8 != 0 || len(got.Hashes) != 1 || got.Hashes[0] != HashSHA512 || got.Ciphers[0] != CipherAES128GCM || got.Signings[0] != SignAESGMAC {
		t.Errorf("at %d: %+v", at, got)
	}
}

// FuzzRequests feeds every decoder: none may read beyond the message, and what it points at must lie inside.
func FuzzRequests(f *testing.F) {
	for structure, size := range map[byte]int{36: 36, 25: 24, 9: 8, 57: 56, 24: 24, 49: 48, 48: 48, 33: 32, 41: 40, 32: 32, 4: 4} {
		fixed := make([]byte, size)
		fixed[0] = structure
		f.Add(request(Negotiate, fixed, make([]byte, 40)...))
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		size := len(m)
		inside := func(b []byte) {
			if len(b) > size {
				t.Fatal("longer than the message")
			}
		}
		var h Header
		h.Parse(m)
		var tr Transform
		tr.Parse(m)
		SMB1Negotiate(m)
		for rest := m; len(rest) > 0; {
			var err error
			if _, rest, err = Element(rest); err != nil {
				break
			}
		}
		var n NegotiateRequest
		if n.Parse(m) == nil && len(n.Dialects) > maxDialects {
			t.Fatal("too many dialects")
		}
		var s SessionSetupRequest
		if s.Parse(m) == nil {
			inside(s.Security)
		}
		var tc TreeConnectRequest
		tc.Parse(m)
		var c CreateRequest
		if c.Parse(m) == nil {
			inside(c.Name)
			inside(c.Contexts)
		}
		var cl CloseRequest
		cl.Parse(m)
		ParseFlush(m)
		var r ReadRequest
		r.Parse(m)
		var w WriteRequest
		if w.Parse(m) == nil {
			inside(w.Data)
		}
		var l LockRequest
		if l.Parse(m) == nil && len(l.Locks) > MaxLocks {
			t.Fatal("too many locks")
		}
		var io IOCtlRequest
		if io.Parse(m) == nil {
			inside(io.Input)
		}
		var qd QueryDirectoryRequest
		if qd.Parse(m) == nil {
			inside(qd.Pattern)
		}
		var qi QueryInfoRequest
		if qi.Parse(m) == nil {
			inside(qi.Input)
		}
		var si SetInfoRequest
		if si.Parse(m) == nil {
			inside(si.Data)
		}
		var cn ChangeNotifyRequest
		cn.Parse(m)
		var ack OplockAck
		ack.Parse(m)
		var v ValidateRequest
		v.Parse(m)
		UTF16(m)
	})
}
