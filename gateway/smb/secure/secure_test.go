package secure

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"testing"

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

// TestCMAC holds the examples of RFC 4493 §4.
func TestCMAC(t *testing.T) {
	block, _ := aes.NewCipher(unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"))
	c := newCMAC(block)
	text := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for n, want := range map[int]string{
		0: "bb1d6929e95937287fa37d129b756746", 16: "070a16b46b4d4144f79bdd9dd04a287c",
		40: "dfa66747de9ae63030ca32611497c827", 64: "51f0bebf7e3b9d92fc49741779363cfe",
	} {
		var mac [16]byte
		if c.sum(&mac, text[:n]); hex.EncodeToString(mac[:]) != want {
			t.Errorf("%d bytes: %x, want %s", n, mac, want)
		}
	}
}

// TestCCM holds the examples of NIST SP 800-38C, appendix C. They are all there is with published intermediate values; their tags
// are shorter than those of SMB.
func TestCCM(t *testing.T) {
	long := make([]byte, 524288/8)
	for i := range long {
		long[i] = byte(i)
	}
	for _, v := range []struct{ nonce, data, plain, sealed string }{
		{"10111213141516", "0001020304050607", "20212223", "7162015b4dac255d"},
		{"1011121314151617", "000102030405060708090a0b0c0d0e0f", "202122232425262728292a2b2c2d2e2f", "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd"},
		{"101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213", "202122232425262728292a2b2c2d2e2f3031323334353637",
			"e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951"},
		{"101112131415161718191a1b1c", hex.EncodeToString(long), "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
			"69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72b4ac6bec93e8598e7f0dadbcea5b"},
	} {
		block, err := aes.NewCipher(unhex(t, "404142434445464748494a4b4c4d4e4f"))
		if err != nil {
			t.Fatal(err)
		}
		nonce, data, plain := unhex(t, v.nonce), unhex(t, v.data), unhex(t, v.plain)
		a := newCCM(block, len(nonce), (len(v.sealed)-len(v.plain))/2)
		got := a.Seal(nil, nonce, plain, data)
		if hex.EncodeToString(got) != v.sealed {
			t.Errorf("sealed %x, want %s", got, v.sealed)
		}
		if back, err := a.Open(nil, nonce, got, data); err != nil || !bytes.Equal(back, plain) {
			t.Errorf("opened %x, %v", back, err)
		}
		got[0] ^= 1
		if _, err := a.Open(nil, nonce, got, data); err == nil {
			t.Error("forged text was taken")
		}
	}
}

func TestSigners(t *testing.T) {
	for _, alg := range []uint16{wire.SignHMACSHA256, wire.SignAESCMAC, wire.SignAESGMAC} {
		s, err := NewSigner(alg, unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"))
		if err != nil {
			t.Fatal(err)
		}
		m := make([]byte, 200)
		h := wire.Header{Command: wire.Echo, MessageID: 77}
		h.Put(m)
		s.Sign(m)
		copied := bytes.Clone(m)
		if !s.Verify(m) || !bytes.Equal(m, copied) {
			t.Errorf("%d: own signature refused, or the message changed", alg)
		}
		for _, at := range []int{4, 24, 50, 64, 199} {
			m[at] ^= 1
			if s.Verify(m) {
				t.Errorf("%d: byte %d changed unnoticed", alg, at)
			}
			m[at] ^= 1
		}
		if n := testing.AllocsPerRun(100, func() { s.Sign(m) }); n > 0 && !raceEnabled { // its pools forget at random
			t.Errorf("%d: %v allocations per signature", alg, n)
		}
	}
}

func TestSealers(t *testing.T) {
	for _, number := range []uint16{wire.CipherAES128CCM, wire.CipherAES128GCM, wire.CipherAES256CCM, wire.CipherAES256GCM} {
		key := make([]byte, 32)
		if number <= wire.CipherAES128GCM {
			key = key[:16]
		}
		s, err := NewSealer(number, key)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{64, 65, 1000} {
			m := make([]byte, wire.TransformSize+n, wire.TransformSize+n+TagSize)
			for i := range m {
				m[i] = byte(i)
			}
			plain := bytes.Clone(m[wire.TransformSize:])
			s.Seal(m, 9)
			var h wire.Transform
			if err := h.Parse(m); err != nil || h.SessionID != 9 || bytes.Contains(m, plain[:32]) {
				t.Fatal(number, err, h)
			}
			forged := append(make([]byte, 0, cap(m)), m...)
			forged[len(forged)-1] ^= 1
			if _, err := s.Open(forged); err == nil {
				t.Error(number, "forged message was opened")
			}
			if got, err := s.Open(m); err != nil || !bytes.Equal(got, plain) {
				t.Error(number, n, err)
			}
		}
	}
}

func benchmarkSign(b *testing.B, alg uint16) {
	s, _ := NewSigner(alg, make([]byte, 16))
	m := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		s.Sign(m)
	}
}

func BenchmarkHMAC(b *testing.B) { benchmarkSign(b, wire.SignHMACSHA256) }
func BenchmarkCMAC(b *testing.B) { benchmarkSign(b, wire.SignAESCMAC) }
func BenchmarkGMAC(b *testing.B) { benchmarkSign(b, wire.SignAESGMAC) }

func benchmarkSeal(b *testing.B, number uint16) {
	s, _ := NewSealer(number, make([]byte, 16))
	m := make([]byte, 1<<20, 1<<20+TagSize)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		s.Seal(m, 1)
	}
}

func BenchmarkGCM(b *testing.B) { benchmarkSeal(b, wire.CipherAES128GCM) }
func BenchmarkCCM(b *testing.B) { benchmarkSeal(b, wire.CipherAES128CCM) }
