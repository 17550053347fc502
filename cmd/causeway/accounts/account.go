// Package accounts holds who may log on over SMB: names, ids, and what is stored of the passwords, sealed. A gateway that serves alone
// keeps them in a file (Book), a cluster in its database; both seal with a key of their own.
//
// Not here: logging on itself (gateway/smb/auth), the commands (cmd/causeway), the cluster's records (cmd/causeway/member).
package accounts

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"causeway"
	"causeway/cluster/record"
	"causeway/gateway/smb/auth"
)

// Key seals passwords. It does not print itself.
type Key [16]byte

// String hides the key.
func (Key) String() string { return "secret" }

// GoString hides the key.
func (Key) GoString() string { return "secret" }

func (k Key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the key has a length that AES knows
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}

// Seal encrypts what is stored of a password, for this account alone.
func (k Key) Seal(name string, hash [16]byte) []byte { return k.SealText(name, hash[:]) }

// SealText encrypts something for a name alone, whose case does not count.
func (k Key) SealText(name string, plain []byte) []byte {
	a := k.aead()
	nonce := make([]byte, a.NonceSize(), a.NonceSize()+len(plain)+a.Overhead())
	rand.Read(nonce) // never fails
	return a.Seal(nonce, nonce, plain, []byte(strings.ToLower(name)))
}

// Open is the reverse of Seal.
func (k Key) Open(name string, sealed []byte) (hash [16]byte, err error) {
	plain, err := k.OpenText(name, sealed)
	if err == nil && len(plain) != len(hash) {
		err = errSealed
	}
	if err != nil {
		return hash, err
	}
	return [16]byte(plain), nil
}

var errSealed = errors.New("the stored password was sealed with another key")

// OpenText is the reverse of SealText.
func (k Key) OpenText(name string, sealed []byte) ([]byte, error) {
	a := k.aead()
	if len(sealed) < a.NonceSize() {
		return nil, errors.New("the stored password is damaged")
	}
	plain, err := a.Open(nil, sealed[:a.NonceSize()], sealed[a.NonceSize():], []byte(strings.ToLower(name)))
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// User is an account as logging on needs it.
func (k Key) User(u *record.User) (auth.User, error) {
	hash, err := k.Open(u.Name, u.Sealed)
	return auth.User{Name: u.Name, NTHash: hash, UID: u.UID, GID: u.GID, Groups: u.Groups}, err
}

// Order makes an account, or changes what it does not leave out of one.
type Order struct {
	Name   string    `json:"name"`
	New    bool      `json:"new"` // there must be none; else there must be one
	UID    *uint32   `json:"uid,omitempty"`
	GID    *uint32   `json:"gid,omitempty"`
	Groups *[]uint32 `json:"groups,omitempty"`
	NTHash []byte    `json:"nt_hash,omitempty"`
}

// Apply returns the account that follows from an order; old is nil if there is none.
func (o *Order) Apply(k Key, old *record.User) (*record.User, error) {
	next := &record.User{Name: o.Name}
	switch {
	case o.New && old != nil:
		return nil, fmt.Errorf("there is a user %s already; causeway user passwd %s sets another password", old.Name, old.Name)
	case !o.New && old == nil:
		return nil, fmt.Errorf("user %s: %w", o.Name, causeway.ErrNoEnt)
	case old != nil:
		*next = *old
	}
	if o.UID != nil {
		next.UID = *o.UID
	}
	if o.GID != nil {
		next.GID = *o.GID
	}
	if o.Groups != nil {
		next.Groups = slices.Clone(*o.Groups)
	}
	if o.NTHash != nil {
		if len(o.NTHash) != 16 {
			return nil, fmt.Errorf("user %s: a password of %d bytes", o.Name, len(o.NTHash))
		}
		next.Sealed = k.Seal(next.Name, [16]byte(o.NTHash))
	}
	if next.UID == causeway.NoID || next.GID == causeway.NoID {
		return nil, fmt.Errorf("user %s: %d is no id", o.Name, causeway.NoID)
	}
	return next, next.Validate()
}

// Shown is what may be told of an account.
type Shown struct {
	Name   string   `json:"name"`
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups"`
}

// Show leaves out what nobody shall see.
func Show(u *record.User) Shown {
	return Shown{u.Name, u.UID, u.GID, append([]uint32{}, u.Groups...)}
}

// Lookup is an auth.Users of a function that finds records.
type Lookup struct {
	Find func(name string) *record.User
	Key  func() (Key, error)
	Fail func(name string, err error) // an account that cannot be read
}

// Lookup implements auth.Users.
func (l Lookup) Lookup(_ context.Context, name string) (auth.User, bool) {
	u := l.Find(name)
	if u == nil {
		return auth.User{}, false
	}
	key, err := l.Key()
	if err == nil {
		var user auth.User
		if user, err = key.User(u); err == nil {
			return user, true
		}
	}
	l.Fail(name, err)
	return auth.User{}, false
}
