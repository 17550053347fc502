package secure

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"causeway/gateway/smb/wire"
)

// Sealer encrypts what one side of a session sends, or decrypts what it receives ([MS-SMB2] 3.1.4.3). It may be used by many
// goroutines and by all channels of the session, whose nonces must never repeat: they count.
type Sealer struct {
	aead  cipher.AEAD
	nonce atomic.Uint64
	pool  sync.Pool // *[16]byte
}

// TagSize is what a sealed message needs behind it while it is made or opened.
const TagSize = 16

// nonceOfCCM is the size of its nonce in bytes ([MS-SMB2] 2.2.41).
const (
	nonceOfCCM = 11
)

// NewSealer makes a sealer of a cipher ([wire.CipherAES128CCM], …) with a key of 16 or 32 bytes.
func NewSealer(number uint16, key []byte) (*Sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s := new(Sealer)
	s.pool.New = func() any { return new([16]byte) }
	switch number {
	case wire.CipherAES128CCM, wire.CipherAES256CCM:
		s.aead = newCCM(block, nonceOfCCM, TagSize)
	case wire.CipherAES128GCM, wire.CipherAES256GCM:
		s.aead, err = cipher.NewGCM(block)
	default:
		err = fmt.Errorf("smb: unknown cipher %d", number)
	}
	return s, err
}

// associated is where the authenticated part of the transform header begins.
const associated = 20

// Seal encrypts in place: m holds room for a transform header, then the message; its capacity must leave TagSize bytes behind.
func (s *Sealer) Seal(m []byte, session uint64) {
	t := wire.Transform{Size: uint32(len(m) - wire.TransformSize), Flags: 1, SessionID: session}
	n := s.pool.Get().(*[16]byte)
	defer s.pool.Put(n)
	clear(n[:])
	binary.LittleEndian.PutUint64(n[:], s.nonce.Add(1))
	t.Nonce = *n
	t.Put(m)
	text := m[wire.TransformSize:]
	sealed := s.aead.Seal(text[:0], n[:s.aead.NonceSize()], text, m[associated:wire.TransformSize])
	copy(m[4:20], sealed[len(text):])
}

// Open decrypts in place what Transform.Parse has accepted, and returns the message without the header. The capacity of m must
// leave TagSize bytes behind.
func (s *Sealer) Open(m []byte) ([]byte, error) {
	text := m[wire.TransformSize:]
	sealed := append(text, m[4:20]...)
	n := s.pool.Get().(*[16]byte)
	defer s.pool.Put(n)
	copy(n[:], m[associated:])
	out, err := s.aead.Open(text[:0], n[:s.aead.NonceSize()], sealed, m[associated:wire.TransformSize])
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}
