package secure

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"

	"causeway/gateway/smb/wire"
)

// Signer signs and verifies messages with one key ([MS-SMB2] 3.1.4.1). It may be used by many goroutines; no message costs an
// allocation.
type Signer struct {
	algorithm uint16
	cmac      *cmac
	gmac      cipher.AEAD
	scratch   sync.Pool // *scratch
}

// scratch is what one signature needs: it would escape through the ciphers' interfaces.
type scratch struct {
	hmac  hash.Hash
	nonce [12]byte
	tag   [sha256.Size]byte
}

// NewSigner makes a signer of an algorithm ([wire.SignHMACSHA256], …) with a key of 16 bytes.
func NewSigner(algorithm uint16, key []byte) (*Signer, error) {
	s := &Signer{algorithm: algorithm}
	if algorithm == wire.SignHMACSHA256 {
		key := append([]byte(nil), key...)
		s.scratch.New = func() any { return &scratch{hmac: hmac.New(sha256.New, key)} }
		return s, nil
	}
	s.scratch.New = func() any { return new(scratch) }
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	switch algorithm {
	case wire.SignAESCMAC:
		s.cmac = newCMAC(block)
	case wire.SignAESGMAC:
		s.gmac, err = cipher.NewGCM(block)
	default:
		err = fmt.Errorf("smb: unknown signing algorithm %d", algorithm)
	}
	return s, err
}

// Once reports whether two messages of a side with the same message id must not both be signed: with AES-GMAC the id is the nonce, and two
// tags under one nonce give away what forges others (NIST SP 800-38D appendix A).
func (s *Signer) Once() bool { return s.gmac != nil }

// The signature's place in the header.
const sigStart, sigEnd = 48, 64

// Sign signs one element of a message from its header to its end, padding included: it sets the flag and patches the signature.
func (s *Signer) Sign(m []byte) {
	wire.PutSigned(m)
	clear(m[sigStart:sigEnd])
	x := s.sum(m)
	copy(m[sigStart:sigEnd], x.tag[:])
	s.scratch.Put(x)
}

// Verify reports whether the signature of an element is right. It leaves the element as it was.
func (s *Signer) Verify(m []byte) bool {
	if len(m) < wire.HeaderSize {
		return false
	}
	want := [16]byte(m[sigStart:sigEnd])
	clear(m[sigStart:sigEnd])
	x := s.sum(m)
	ok := subtle.ConstantTimeCompare(want[:], x.tag[:16]) == 1
	s.scratch.Put(x)
	copy(m[sigStart:sigEnd], want[:])
	return ok
}

// sum leaves the signature in a scratch that the caller puts back.
func (s *Signer) sum(m []byte) *scratch {
	x := s.scratch.Get().(*scratch)
	switch s.algorithm {
	case wire.SignHMACSHA256:
		x.hmac.Reset()
		x.hmac.Write(m)
		x.hmac.Sum(x.tag[:0])
	case wire.SignAESCMAC:
		s.cmac.sum((*[16]byte)(x.tag[:16]), m)
	case wire.SignAESGMAC:
		gmacNonce(&x.nonce, m)
		s.gmac.Seal(x.tag[:0], x.nonce[:], nil, m)
	}
	return x
}

// gmacNonce is the message id, then whether a server sent it (bit 0) and whether it is a CANCEL (bit 1).
func gmacNonce(nonce *[12]byte, m []byte) {
	copy(nonce[:8], m[24:32])
	var bits uint32
	if wire.Flags(binary.LittleEndian.Uint32(m[16:]))&wire.FlagReply != 0 {
		bits |= 1
	}
	if wire.Command(binary.LittleEndian.Uint16(m[12:])) == wire.Cancel {
		bits |= 2
	}
	binary.LittleEndian.PutUint32(nonce[8:], bits)
}
