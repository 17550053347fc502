package secure

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"
)

// ErrOpen is what decrypting a message that was not encrypted with this key returns.
var ErrOpen = errors.New("smb: message authentication failed")

// ccm is AES-CCM (RFC 3610) with a nonce and tags of the given sizes. It implements cipher.AEAD.
type ccm struct {
	block      cipher.Block
	nonce, tag int
}

func newCCM(block cipher.Block, nonce, tag int) cipher.AEAD { return &ccm{block, nonce, tag} }

func (c *ccm) NonceSize() int { return c.nonce }
func (c *ccm) Overhead() int  { return c.tag }

// mac is the CBC-MAC over the lengths, the additional data and the plaintext (RFC 3610 §2.2).
func (c *ccm) mac(mac *[blockSize]byte, nonce, plain, data []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(plain)))
	size := blockSize - 1 - c.nonce
	clear(mac[:])
	mac[0] = byte((c.tag-2)/2<<3 | (size - 1))
	if len(data) > 0 {
		mac[0] |= 1 << 6
	}
	copy(mac[1:], nonce)
	copy(mac[1+c.nonce:], length[8-size:])
	c.block.Encrypt(mac[:], mac[:])
	if len(data) > 0 {
		c.header(mac, data)
	}
	c.chain(mac, plain)
}

// header chains the additional data with its length in front: of two bytes below 0xff00, else of six.
func (c *ccm) header(mac *[blockSize]byte, data []byte) {
	var first [blockSize]byte
	n := 2
	if len(data) < 0xff00 {
		binary.BigEndian.PutUint16(first[:], uint16(len(data)))
	} else {
		n = 6
		binary.BigEndian.PutUint16(first[:], 0xfffe)
		binary.BigEndian.PutUint32(first[2:], uint32(len(data)))
	}
	taken := copy(first[n:], data)
	c.chain(mac, first[:])
	c.chain(mac, data[taken:])
}

// chain adds m, padded with zeros to whole blocks.
func (c *ccm) chain(mac *[blockSize]byte, m []byte) {
	for len(m) > 0 {
		n := min(len(m), blockSize)
		subtle.XORBytes(mac[:], mac[:], m[:n])
		c.block.Encrypt(mac[:], mac[:])
		m = m[n:]
	}
}

// stream returns the key stream for the data, and what hides the tag.
func (c *ccm) stream(nonce []byte) (cipher.Stream, [blockSize]byte) {
	var counter, hide [blockSize]byte
	counter[0] = byte(blockSize - 2 - c.nonce)
	copy(counter[1:], nonce)
	s := cipher.NewCTR(c.block, counter[:])
	s.XORKeyStream(hide[:], hide[:])
	return s, hide
}

func (c *ccm) check(nonce []byte, n int) {
	if len(nonce) != c.nonce {
		panic("smb: wrong nonce size")
	}
	if size := blockSize - 1 - c.nonce; size < 8 && uint64(n) >= 1<<(8*size) {
		panic("smb: message too long")
	}
}

func (c *ccm) Seal(dst, nonce, plain, data []byte) []byte {
	c.check(nonce, len(plain))
	var mac [blockSize]byte
	c.mac(&mac, nonce, plain, data)
	stream, hide := c.stream(nonce)
	subtle.XORBytes(mac[:], mac[:], hide[:])
	n := len(dst)
	dst = slices.Grow(dst, len(plain)+c.tag)[:n+len(plain)+c.tag]
	stream.XORKeyStream(dst[n:n+len(plain)], plain)
	copy(dst[n+len(plain):], mac[:c.tag])
	return dst
}

func (c *ccm) Open(dst, nonce, sealed, data []byte) ([]byte, error) {
	if len(sealed) < c.tag {
		return nil, ErrOpen
	}
	plain, tag := sealed[:len(sealed)-c.tag], sealed[len(sealed)-c.tag:]
	c.check(nonce, len(plain))
	stream, hide := c.stream(nonce)
	subtle.XORBytes(hide[:c.tag], hide[:c.tag], tag)
	n := len(dst)
	dst = slices.Grow(dst, len(plain))[:n+len(plain)]
	stream.XORKeyStream(dst[n:], plain)
	var mac [blockSize]byte
	c.mac(&mac, nonce, dst[n:], data)
	if subtle.ConstantTimeCompare(mac[:c.tag], hide[:c.tag]) != 1 {
		clear(dst[n:])
		return nil, ErrOpen
	}
	return dst, nil
}
