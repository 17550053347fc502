package pki

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Token lets a machine join: it proves the joiner to the cluster by a secret, and the cluster to the joiner by the authority's
// fingerprint.
type Token struct {
	ID          string
	Secret      [24]byte
	Fingerprint [32]byte
}

const tokenVersion = "cw1"

// Errors of tokens. They tell a stranger nothing about which tokens there are.
var (
	ErrToken   = errors.New("the join token is not valid")
	ErrExpired = errors.New("the join token has expired")
)

// NewToken makes a token for the cluster of an authority.
func NewToken(a *Authority) (Token, error) {
	t := Token{Fingerprint: a.Fingerprint()}
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return Token{}, err
	}
	_, err := rand.Read(t.Secret[:])
	t.ID = fmt.Sprintf("%x", id)
	return t, err
}

// String returns the token as it is handed to the joiner.
func (t Token) String() string {
	enc := base64.RawURLEncoding
	return strings.Join([]string{tokenVersion, t.ID, enc.EncodeToString(t.Secret[:]), enc.EncodeToString(t.Fingerprint[:])}, ".")
}

// ParseToken is the inverse of String.
func ParseToken(s string) (Token, error) {
	// The decoder of base64 passes over line ends: without them a token has one form only.
	parts := strings.Split(s, ".")
	if len(s) > 200 || strings.ContainsAny(s, "\r\n") || len(parts) != 4 || parts[0] != tokenVersion || len(parts[1]) != 12 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return Token{}, ErrToken
	}
	t := Token{ID: parts[1]}
	for i, into := range [][]byte{t.Secret[:], t.Fingerprint[:]} {
		data, err := base64.RawURLEncoding.Strict().DecodeString(parts[2+i])
		if err != nil || len(data) != len(into) {
			return Token{}, ErrToken
		}
		copy(into, data)
	}
	return t, nil
}

// Hash returns what the cluster stores of the token.
func (t Token) Hash() []byte {
	h := sha256.Sum256(t.Secret[:])
	return h[:]
}

// Check reports whether a presented secret is the one that was stored, and in time.
func Check(secret, hash []byte, expires, now time.Time) error {
	h := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(h[:], hash) != 1 {
		return ErrToken
	}
	if now.After(expires) {
		return ErrExpired
	}
	return nil
}
