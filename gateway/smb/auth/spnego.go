package auth

import "bytes"

// maxToken bounds a token before it is looked at, in bytes; maxMechs the mechanisms that a client may offer.
const (
	maxToken = 16 << 10
	maxMechs = 32
)

// DER tags that SPNEGO uses.
const (
	tagOctets   = 0x04
	tagOID      = 0x06
	tagEnum     = 0x0a
	tagSequence = 0x30
	tagApp      = 0x60
	tagContext  = 0xa0 // plus the number
)

// States of a negotiation (RFC 4178 §4.2.2).
const (
	acceptCompleted  = 0
	acceptIncomplete = 1
)

var (
	oidSPNEGO = []byte{tagOID, 6, 0x2b, 6, 1, 5, 5, 2}
	oidNTLM   = []byte{tagOID, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10}
	hint      = der(tagApp, oidSPNEGO, der(tagContext, der(tagSequence, der(tagContext, der(tagSequence, oidNTLM)))))
)

// der encodes an element of the joined parts.
func der(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := []byte{tag}
	switch {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// element cuts the first element off b: its tag, its contents, and what follows. Only definite lengths of up to two bytes are
// taken: a token is not larger.
func element(b []byte) (tag byte, content, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, nil, ErrMalformed
	}
	n, at := int(b[1]), 2
	switch {
	case n == 0x81 && len(b) >= 3:
		n, at = int(b[2]), 3
	case n == 0x82 && len(b) >= 4:
		n, at = int(b[2])<<8|int(b[3]), 4
	case n >= 0x80:
		return 0, nil, nil, ErrMalformed
	}
	if len(b)-at < n {
		return 0, nil, nil, ErrMalformed
	}
	return b[0], b[at : at+n], b[at+n:], nil
}

// expect cuts an element of a known tag off.
func expect(b []byte, want byte) (content, rest []byte, err error) {
	tag, content, rest, err := element(b)
	if err == nil && tag != want {
		err = ErrMalformed
	}
	return content, rest, err
}

// token is a NegTokenInit or NegTokenResp of a client. All of it is borrowed.
type token struct {
	init                    bool
	mechs                   []byte // the whole element of the list
	offersNTLM, prefersNTLM bool
	token, mic              []byte // nil: absent
}

func parseToken(b []byte) (t token, err error) {
	if len(b) > 0 && b[0] == tagApp {
		if b, _, err = expect(b, tagApp); err != nil {
			return t, err
		}
		if !bytes.HasPrefix(b, oidSPNEGO) {
			return t, ErrMalformed
		}
		b = b[len(oidSPNEGO):]
		t.init = true
	}
	outer := byte(tagContext + 1)
	if t.init {
		outer = tagContext
	}
	if b, _, err = expect(b, outer); err != nil {
		return t, err
	}
	if b, _, err = expect(b, tagSequence); err != nil {
		return t, err
	}
	for last := byte(0); len(b) > 0; {
		tag, content, rest, err := element(b)
		if err != nil || tag <= last {
			return t, ErrMalformed
		}
		if err := t.field(tag, content); err != nil {
			return t, err
		}
		b, last = rest, tag
	}
	if t.init && t.mechs == nil {
		return t, ErrMalformed
	}
	return t, nil
}

// field takes one of the fields, which have the same numbers in both kinds of tokens where they matter.
func (t *token) field(tag byte, content []byte) (err error) {
	switch tag {
	case tagContext:
		if t.init {
			return t.list(content)
		}
	case tagContext + 2:
		t.token, _, err = expect(content, tagOctets)
	case tagContext + 3:
		if t.init && len(content) > 0 && content[0] == tagSequence {
			return nil // negHints of NegTokenInit2
		}
		t.mic, _, err = expect(content, tagOctets)
	}
	return err
}

func (t *token) list(content []byte) error {
	t.mechs = content
	b, _, err := expect(content, tagSequence)
	if err != nil {
		return err
	}
	for i := 0; len(b) > 0; i++ {
		_, rest, err := expect(b, tagOID)
		if err != nil || i == maxMechs {
			return ErrMalformed
		}
		if bytes.Equal(b[:len(b)-len(rest)], oidNTLM) {
			t.offersNTLM = true
			t.prefersNTLM = i == 0
		}
		b = rest
	}
	return nil
}

// appendReply makes a NegTokenResp.
func appendReply(state byte, mech bool, token, mic []byte) []byte {
	parts := [][]byte{der(tagContext, []byte{tagEnum, 1, state})}
	if mech {
		parts = append(parts, der(tagContext+1, oidNTLM))
	}
	if token != nil {
		parts = append(parts, der(tagContext+2, der(tagOctets, token)))
	}
	if mic != nil {
		parts = append(parts, der(tagContext+3, der(tagOctets, mic)))
	}
	return der(tagContext+1, der(tagSequence, parts...))
}
