package auth

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"causeway/gateway/smb/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type users map[string]User

func (u users) Lookup(_ context.Context, name string) (User, bool) {
	user, ok := u[strings.ToLower(name)]
	return user, ok
}

func authenticator(t testing.TB) *Authenticator {
	a, err := New(Config{
		Users: users{"user": {Name: "User", NTHash: NTHash("Password"), UID: 7}},
		Now:   func() time.Time { return time.Unix(1e9, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestNTHash is [MS-NLMP] 4.2.2.1.2.
func TestNTHash(t *testing.T) {
	if h := NTHash("Password"); hex.EncodeToString(h[:]) != "a4f49c406510bdcab6824ee7c30fd852" {
		t.Errorf("%x", h)
	}
}

// message builds an AUTHENTICATE message.
func message(flags uint32, domain, user string, response, key []byte, mic bool) []byte {
	fixed := 64
	if mic {
		fixed = micAt + 16
	}
	b := make([]byte, fixed)
	copy(b, signature)
	le.PutUint32(b[8:], typeAuthenticate)
	for _, f := range []struct {
		at   int
		data []byte
	}{{12, make([]byte, 24)}, {20, response}, {28, wire.AppendUTF16(nil, domain)}, {36, wire.AppendUTF16(nil, user)}, {44, nil}, {52, key}} {
		putField(b[f.at:], len(f.data), len(b))
		b = append(b, f.data...)
	}
	le.PutUint32(b[60:], flags)
	return b
}

// The values of [MS-NLMP] 4.2.1 and 4.2.4: the response's second part, the proof, and the session key as it is sent and as it is.
const (
	exampleBlob  = "01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"
	exampleProof = "68cd0ab851e51c96aabc927bebef6a1c"
	exampleSent  = "c5dad2544fc9799094ce1ce90bc9d03e"
	exampleKey   = "55555555555555555555555555555555"
	exampleFlags = flagUnicode | flagKeyExchange | flagExtendedSecure
)

// example is a logon that has come to the challenge of the specification.
func example() *ntlm {
	return &ntlm{negotiate: []byte("n"), challenge: []byte("c"), nonce: [8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}}
}

func TestNTLMv2Example(t *testing.T) {
	a := authenticator(t)
	response := unhex(t, exampleProof+exampleBlob)
	_, res, err := example().step(t.Context(), &a.cfg, message(exampleFlags, "Domain", "User", response, unhex(t, exampleSent), false))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(res.Key[:]) != exampleKey || res.User.UID != 7 {
		t.Errorf("%x, %+v", res.Key, res.User)
	}
}

func TestRefused(t *testing.T) {
	a := authenticator(t)
	good := unhex(t, exampleProof+exampleBlob)
	wrong := bytes.Clone(good)
	wrong[3] ^= 1
	key := unhex(t, exampleSent)
	for name, m := range map[string][]byte{
		"wrong password": message(exampleFlags, "Domain", "User", wrong, key, false),
		"other domain":   message(exampleFlags, "Domains", "User", good, key, false),
		"unknown user":   message(exampleFlags, "Domain", "Usher", good, key, false),
		"anonymous":      message(exampleFlags|flagAnonymous, "Domain", "User", good, key, false),
		"no user":        message(exampleFlags, "Domain", "", good, key, false),
		"NTLMv1":         message(exampleFlags, "Domain", "User", good[:24], key, false),
		"no response":    message(exampleFlags, "Domain", "User", nil, key, false),
	} {
		if _, res, err := example().step(t.Context(), &a.cfg, m); err != ErrLogon || res != nil {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
	for name, m := range map[string][]byte{
		"cut":        message(exampleFlags, "Domain", "User", good, key, false)[:100],
		"short key":  message(exampleFlags, "Domain", "User", good, key[:8], false),
		"no unicode": message(exampleFlags&^flagUnicode, "Domain", "User", good, key, false),
		"empty":      nil,
	} {
		if _, res, err := example().step(t.Context(), &a.cfg, m); err != ErrMalformed || res != nil {
			t.Errorf("%s: %v, %v", name, res, err)
		}
	}
}

// TestMIC: who promises a MIC must send the right one.
func TestMIC(t *testing.T) {
	a := authenticator(t)
	hash := NTHash("Password")
	responseKey := mac(hash[:], wire.AppendUTF16(nil, "USERDomain"))
	blob := unhex(t, "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000"+"0600040002000000"+"0000000000000000")
	n := example()
	proof := mac(responseKey[:], n.nonce[:], blob)
	session := mac(responseKey[:], proof[:])
	m := message(flagUnicode|flagExtendedSecure, "Domain", "User", append(proof[:], blob...), nil, true)
	if _, _, err := example().step(t.Context(), &a.cfg, m); err != ErrLogon {
		t.Errorf("without: %v", err)
	}
	sum := mac(session[:], n.negotiate, n.challenge, m)
	copy(m[micAt:], sum[:])
	if _, res, err := n.step(t.Context(), &a.cfg, m); err != nil || res.Key != session {
		t.Errorf("with: %v", err)
	}
	m[micAt] ^= 1
	if _, _, err := example().step(t.Context(), &a.cfg, m); err != ErrLogon {
		t.Errorf("forged: %v", err)
	}
}

// TestSPNEGO: a client that prefers something else is led to NTLM, and must prove the list that it sent.
func TestSPNEGO(t *testing.T) {
	a := authenticator(t)
	kerberos := []byte{tagOID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2}
	list := der(tagSequence, kerberos, oidNTLM)
	first := der(tagApp, oidSPNEGO, der(tagContext, der(tagSequence, der(tagContext, list), der(tagContext+2, der(tagOctets, []byte("ticket"))))))
	x := a.Begin(nil)
	reply, res, err := x.Step(t.Context(), first)
	if err != nil || res != nil || !bytes.Contains(reply, oidNTLM) {
		t.Fatalf("%x, %v, %v", reply, res, err)
	}
	hello := append([]byte(signature), 1, 0, 0, 0, 0x97, 0x82, 0x08, 0xe2)
	reply, res, err = x.Step(t.Context(), appendReply(acceptIncomplete, false, hello, nil))
	if err != nil || res != nil || !bytes.Contains(reply, []byte(signature)) {
		t.Fatalf("%x, %v, %v", reply, res, err)
	}
	hash := NTHash("Password")
	responseKey := mac(hash[:], wire.AppendUTF16(nil, "USER"))
	blob := make([]byte, clientBlob+4)
	proof := mac(responseKey[:], x.ntlm.nonce[:], blob)
	client := ntlm{key: mac(responseKey[:], proof[:])}
	last := message(flagUnicode|flagExtendedSecure, "", "user", append(proof[:], blob...), nil, false)
	good := *x
	if _, _, err := x.Step(t.Context(), appendReply(acceptIncomplete, false, last, nil)); err != ErrLogon {
		t.Errorf("without a MIC: %v", err)
	}
	x = &good
	reply, res, err = x.Step(t.Context(), appendReply(acceptIncomplete, false, last, client.sign("client-to-server", list)))
	if err != nil || res == nil || !bytes.Contains(reply, client.sign("server-to-client", list)) {
		t.Fatalf("%x, %v, %v", reply, res, err)
	}
	if _, _, err := x.Step(t.Context(), last); err != ErrMalformed {
		t.Errorf("after the end: %v", err)
	}
}

func FuzzExchange(f *testing.F) {
	hello := append([]byte(signature), 1, 0, 0, 0, 0x97, 0x82, 0x08, 0xe2)
	f.Add(hello, message(exampleFlags, "Domain", "User", unhex(f, exampleProof+exampleBlob), unhex(f, exampleSent), false))
	f.Add(der(tagApp, oidSPNEGO, der(tagContext, der(tagSequence, der(tagContext, der(tagSequence, oidNTLM)), der(tagContext+2, der(tagOctets, hello))))),
		appendReply(acceptIncomplete, false, message(exampleFlags, "D", "user", nil, nil, true), make([]byte, 16)))
	f.Add(hint, hint)
	f.Add(hello, message(exampleFlags|flagAnonymous, "", "", nil, nil, false))
	a := authenticator(f)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		x := a.Begin(nil)
		if _, res, _ := x.Step(t.Context(), first); res != nil {
			t.Fatal("logged on by the first token")
		}
		if _, res, _ := x.Step(t.Context(), second); res != nil && (!res.Anonymous || res.Key != [16]byte{} || res.User.Name != "") {
			t.Fatal("logged on without the password") // the challenge is random
		}
	})
}

// TestAnonymous: who says that he is nobody is known as that, without a key; whoever asked decides what becomes of him.
func TestAnonymous(t *testing.T) {
	a := authenticator(t)
	_, res, err := example().step(t.Context(), &a.cfg, message(exampleFlags|flagAnonymous, "", "", nil, nil, false))
	if err != nil || res == nil || !res.Anonymous || res.Key != [16]byte{} || res.User.Name != "" {
		t.Errorf("%+v, %v", res, err)
	}
}
