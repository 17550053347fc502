package record

import (
	"fmt"
	"strings"
)

// User is an account that may log on over SMB. Its key is its name in lower case.
type User struct {
	Header
	Name   string   `json:"name"` // as it was made
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"`
	Sealed []byte   `json:"sealed"` // what is stored of the password, sealed with a key made of the cluster's secret
}

// Bounds of an account.
const (
	MaxUserName   = 64 // bytes
	MaxUserGroups = 1024
)

// Validate names the field that is wrong.
func (u *User) Validate() error {
	switch {
	case u.Name == "" || len(u.Name) > MaxUserName || strings.ContainsFunc(u.Name, func(r rune) bool { return r <= ' ' || r == 127 || strings.ContainsRune(`/\:@"`, r) }):
		return fmt.Errorf("user: name %.80q", u.Name)
	case len(u.Groups) > MaxUserGroups:
		return fmt.Errorf("user %s: %d groups", u.Name, len(u.Groups))
	case len(u.Sealed) == 0 || len(u.Sealed) > 256:
		return fmt.Errorf("user %s: password of %d bytes", u.Name, len(u.Sealed))
	}
	return nil
}

// Key returns the key of the account's record.
func (u *User) Key() Key { return UserKey(u.Name) }

// UserKey returns the key under which an account's record lies, however its name is spelt.
func UserKey(name string) Key { return Named(KindUser, strings.ToLower(name)) }
