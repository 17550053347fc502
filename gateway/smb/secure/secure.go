// Package secure is the cryptography of SMB 2 and 3: keys derived from a session key, the preauth integrity hash, signatures and
// encryption of messages. It knows where the signature and the transform header stand in a message, and nothing else of it; who
// has which key is the server's affair. AES-CMAC and AES-CCM are written here, since the standard library has neither.
package secure

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"

	"causeway/gateway/smb/wire"
)

// Preauth is the running hash over the messages that led to a session ([MS-SMB2] 3.1.4.4). Zero is its start.
type Preauth [sha512.Size]byte

// Update adds a message, from its SMB2 header on.
func (p *Preauth) Update(m []byte) {
	h := sha512.New()
	h.Write(p[:])
	h.Write(m)
	h.Sum(p[:0])
}

// Derive is the key derivation in counter mode with HMAC-SHA256 (NIST SP 800-108), of size bytes, at most 32.
func Derive(key []byte, label, context string, size int) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{0, 0, 0, 1})
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write([]byte(context))
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(size)*8))
	return h.Sum(nil)[:size]
}

// Keys are what a session of SMB 3 derives from its session key ([MS-SMB2] 3.1.4.2). Seal is for what the server sends, Open for
// what it receives.
type Keys struct {
	Sign, Seal, Open []byte
}

// NewKeys derives keys for a dialect: from 3.1.1 on with the preauth hash of the session. For 2.x, Sign is the session key.
func NewKeys(d wire.Dialect, cipher uint16, session []byte, hash *Preauth) Keys {
	size := 16
	if cipher == wire.CipherAES256CCM || cipher == wire.CipherAES256GCM {
		size = 32
	}
	switch {
	case d < wire.Dialect300:
		return Keys{Sign: session}
	case d < wire.Dialect311:
		return Keys{
			Derive(session, "SMB2AESCMAC\x00", "SmbSign\x00", 16),
			Derive(session, "SMB2AESCCM\x00", "ServerOut\x00", 16),
			Derive(session, "SMB2AESCCM\x00", "ServerIn \x00", 16),
		}
	}
	return Keys{
		Derive(session, "SMBSigningKey\x00", string(hash[:]), 16),
		Derive(session, "SMBS2CCipherKey\x00", string(hash[:]), size),
		Derive(session, "SMBC2SCipherKey\x00", string(hash[:]), size),
	}
}
