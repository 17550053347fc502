package auth

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"crypto/subtle"
	"encoding/binary"
	"strings"
	"time"

	"causeway/gateway/smb/wire"
)

var le = binary.LittleEndian

const signature = "NTLMSSP\x00"

// Message types.
const (
	typeNegotiate    = 1
	typeChallenge    = 2
	typeAuthenticate = 3
)

// Negotiate flags ([MS-NLMP] 2.2.2.5).
const (
	flagUnicode        uint32 = 0x00000001
	flagRequestTarget  uint32 = 0x00000004
	flagSign           uint32 = 0x00000010
	flagSeal           uint32 = 0x00000020
	flagNTLM           uint32 = 0x00000200
	flagAnonymous      uint32 = 0x00000800
	flagAlwaysSign     uint32 = 0x00008000
	flagTargetServer   uint32 = 0x00020000
	flagExtendedSecure uint32 = 0x00080000
	flagTargetInfo     uint32 = 0x00800000
	flagVersion        uint32 = 0x02000000
	flag128            uint32 = 0x20000000
	flagKeyExchange    uint32 = 0x40000000
	flag56             uint32 = 0x80000000
)

// offered is what the server agrees to if the client asks; given is what it says in any case. Some clients give up without 128.
const (
	offered = flagUnicode | flagRequestTarget | flagSign | flagSeal | flagNTLM | flagAlwaysSign | flagExtendedSecure | flag128 | flagKeyExchange | flag56 | flagVersion
	given   = flagUnicode | flagNTLM | flagTargetServer | flagTargetInfo | flagExtendedSecure
)

// Attributes of the target information ([MS-NLMP] 2.2.2.1).
const (
	avEnd         = 0
	avComputer    = 1
	avDomain      = 2
	avDNSComputer = 3
	avDNSDomain   = 4
	avFlags       = 6
	avTimestamp   = 7
)

// avFlagMIC: the AUTHENTICATE message carries a MIC.
const avFlagMIC = 2

func isNTLM(b []byte) bool { return len(b) >= 12 && string(b[:8]) == signature }

// ntlm is the server's side of one NTLM logon.
type ntlm struct {
	negotiate, challenge []byte
	nonce                [8]byte
	key                  [16]byte
	keyExchange          bool
	admit                func(ctx context.Context, name string) error
	name, why            string // see Exchange.Claimed
}

func (n *ntlm) step(ctx context.Context, cfg *Config, b []byte) ([]byte, *Result, error) {
	if !isNTLM(b) {
		return nil, nil, ErrMalformed
	}
	switch kind := le.Uint32(b[8:]); {
	case kind == typeNegotiate && n.challenge == nil:
		if len(b) < 16 {
			return nil, nil, ErrMalformed
		}
		random(n.nonce[:])
		n.negotiate = append([]byte(nil), b...)
		n.challenge = makeChallenge(cfg, le.Uint32(b[12:]), n.nonce)
		return n.challenge, nil, nil
	case kind == typeAuthenticate && n.challenge != nil:
		res, err := n.authenticate(ctx, cfg, b)
		return nil, res, err
	}
	return nil, nil, ErrMalformed
}

// makeChallenge builds the CHALLENGE message ([MS-NLMP] 2.2.1.2).
func makeChallenge(cfg *Config, asked uint32, nonce [8]byte) []byte {
	const fixed = 56
	name := wire.AppendUTF16(nil, cfg.Domain)
	info := targetInfo(cfg)
	b := make([]byte, fixed, fixed+len(name)+len(info))
	copy(b, signature)
	le.PutUint32(b[8:], typeChallenge)
	putField(b[12:], len(name), fixed)
	le.PutUint32(b[20:], asked&offered|given)
	copy(b[24:], nonce[:])
	putField(b[40:], len(info), fixed+len(name))
	copy(b[48:], []byte{10, 0, 0, 0, 0, 0, 0, 15}) // version 10.0, NTLMSSP revision 15
	return append(append(b, name...), info...)
}

func putField(b []byte, n, off int) {
	le.PutUint16(b, uint16(n))
	le.PutUint16(b[2:], uint16(n))
	le.PutUint32(b[4:], uint32(off))
}

func targetInfo(cfg *Config) []byte {
	var b []byte
	for _, av := range []struct {
		id   uint16
		text string
	}{{avDomain, cfg.Domain}, {avComputer, cfg.Computer}, {avDNSDomain, ""}, {avDNSComputer, cfg.DNSName}} {
		text := wire.AppendUTF16(nil, av.text)
		b = le.AppendUint16(le.AppendUint16(b, av.id), uint16(len(text)))
		b = append(b, text...)
	}
	b = le.AppendUint16(le.AppendUint16(b, avTimestamp), 8)
	b = le.AppendUint64(b, filetime(cfg.Now()))
	return le.AppendUint32(b, avEnd)
}

// filetime counts 100 ns since 1601.
func filetime(t time.Time) uint64 {
	return uint64(t.Unix()+11644473600)*1e7 + uint64(t.Nanosecond()/100)
}

// authMessage is the AUTHENTICATE message ([MS-NLMP] 2.2.1.3).
type authMessage struct {
	response, key []byte
	domain, user  string
	flags         uint32
	mic           []byte // nil: no room for one
}

// micAt is where the MIC stands.
const micAt = 72

func parseAuthenticate(b []byte) (a authMessage, err error) {
	if len(b) < 64 {
		return a, ErrMalformed
	}
	least := uint32(len(b))
	field := func(at int) []byte {
		n, off := uint32(le.Uint16(b[at:])), le.Uint32(b[at+4:])
		if n == 0 {
			return nil
		}
		if off < 64 || uint64(off)+uint64(n) > uint64(len(b)) {
			err = ErrMalformed
			return nil
		}
		least = min(least, off)
		return b[off : off+n]
	}
	field(12) // LM response: not looked at
	a.response = field(20)
	domain, user := field(28), field(36)
	field(44)
	a.key = field(52)
	a.flags = le.Uint32(b[60:])
	if err != nil || a.flags&flagUnicode == 0 {
		return a, ErrMalformed
	}
	if a.domain, err = wire.UTF16(domain); err != nil {
		return a, ErrMalformed
	}
	if a.user, err = wire.UTF16(user); err != nil {
		return a, ErrMalformed
	}
	if least >= micAt+16 {
		a.mic = b[micAt : micAt+16]
	}
	return a, nil
}

// clientBlob is the size of the fixed part of an NTLMv2 response's second part, the attributes begin behind it.
const clientBlob = 28

func (n *ntlm) authenticate(ctx context.Context, cfg *Config, b []byte) (*Result, error) {
	a, err := parseAuthenticate(b)
	if err != nil {
		return nil, err
	}
	n.name = a.user
	if a.user == "" && len(a.response) == 0 {
		return &Result{Anonymous: true}, nil
	}
	if a.flags&flagAnonymous != 0 || a.user == "" || len(a.response) < 16+clientBlob {
		n.why = "neither anonymous nor NTLMv2"
		return nil, ErrLogon
	}
	if n.admit != nil {
		if err := n.admit(ctx, a.user); err != nil {
			return nil, err
		}
	}
	user, known := cfg.Users.Lookup(ctx, a.user)
	if !known {
		random(user.NTHash[:]) // do the same work as for others
	}
	responseKey := mac(user.NTHash[:], wire.AppendUTF16(nil, strings.ToUpper(a.user)+a.domain))
	proof := mac(responseKey[:], n.nonce[:], a.response[16:])
	ok := subtle.ConstantTimeCompare(proof[:], a.response[:16]) == 1
	n.key = mac(responseKey[:], proof[:])
	if a.flags&flagKeyExchange != 0 {
		if len(a.key) != 16 {
			return nil, ErrMalformed
		}
		c, _ := rc4.NewCipher(n.key[:])
		c.XORKeyStream(n.key[:], a.key)
		n.keyExchange = true
	}
	hasMIC, err := promisesMIC(a.response[16+clientBlob:])
	if err != nil {
		return nil, err
	}
	if hasMIC {
		ok = n.checkMIC(b, &a) && ok
	}
	if n.why = "wrong password"; !known {
		n.why = "unknown user"
	}
	if !ok || !known {
		return nil, ErrLogon
	}
	return &Result{User: user, Key: n.key}, nil
}

// checkMIC compares the MIC over all three messages, the last one with zeros in its place.
func (n *ntlm) checkMIC(b []byte, a *authMessage) bool {
	if a.mic == nil {
		return false
	}
	var none [16]byte
	want := mac(n.key[:], n.negotiate, n.challenge, b[:micAt], none[:], b[micAt+16:])
	return subtle.ConstantTimeCompare(want[:], a.mic) == 1
}

// promisesMIC walks the attributes that the client answered. Channel bindings stand there too; over plain TCP there are none.
func promisesMIC(b []byte) (bool, error) {
	for len(b) >= 4 {
		id, n := le.Uint16(b), int(le.Uint16(b[2:]))
		if id == avEnd {
			return false, nil
		}
		if len(b)-4 < n {
			return false, ErrMalformed
		}
		if id == avFlags && n == 4 && le.Uint32(b[4:])&avFlagMIC != 0 {
			return true, nil
		}
		b = b[4+n:]
	}
	return false, nil
}

// mac is HMAC-MD5 over the joined parts.
func mac(key []byte, parts ...[]byte) (sum [16]byte) {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// sign is the mechanism's message signature with sequence number 0 ([MS-NLMP] 3.4.4.2).
func (n *ntlm) sign(direction string, message []byte) []byte {
	signing := md5.Sum([]byte(string(n.key[:]) + "session key to " + direction + " signing key magic constant\x00"))
	sum := mac(signing[:], []byte{0, 0, 0, 0}, message)
	if n.keyExchange {
		sealing := md5.Sum([]byte(string(n.key[:]) + "session key to " + direction + " sealing key magic constant\x00"))
		c, _ := rc4.NewCipher(sealing[:])
		c.XORKeyStream(sum[:8], sum[:8])
	}
	return append(append([]byte{1, 0, 0, 0}, sum[:8]...), 0, 0, 0, 0)
}

func (n *ntlm) verifyList(list, mic []byte) bool {
	return subtle.ConstantTimeCompare(n.sign("client-to-server", list), mic) == 1
}

func (n *ntlm) signList(list []byte) []byte { return n.sign("server-to-client", list) }

func lower(s string) string { return strings.ToLower(s) }
