package secure

import (
	"crypto/cipher"
	"crypto/subtle"
)

const blockSize = 16

// cmac is AES-CMAC (RFC 4493).
type cmac struct {
	block  cipher.Block
	k1, k2 [blockSize]byte
}

func newCMAC(block cipher.Block) *cmac {
	c := &cmac{block: block}
	block.Encrypt(c.k1[:], c.k1[:])
	double(&c.k1)
	c.k2 = c.k1
	double(&c.k2)
	return c
}

// double multiplies by x in GF(2^128) (RFC 4493 §2.3).
func double(b *[blockSize]byte) {
	carry := byte(0)
	for i := blockSize - 1; i >= 0; i-- {
		next := b[i] >> 7
		b[i] = b[i]<<1 | carry
		carry = next
	}
	b[blockSize-1] ^= carry * 0x87
}

// sum writes the MAC of m to mac, which is also its working state.
func (c *cmac) sum(mac *[blockSize]byte, m []byte) {
	clear(mac[:])
	for len(m) > blockSize {
		subtle.XORBytes(mac[:], mac[:], m[:blockSize])
		c.block.Encrypt(mac[:], mac[:])
		m = m[blockSize:]
	}
	key := &c.k1
	if len(m) < blockSize {
		key = &c.k2
		mac[len(m)] ^= 0x80
	}
	subtle.XORBytes(mac[:], mac[:], m)
	subtle.XORBytes(mac[:], mac[:], key[:])
	c.block.Encrypt(mac[:], mac[:])
}
