package member

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"causeway/backend/smb"
	"causeway/cluster/record"
	"causeway/cmd/causeway/accounts"
)

// Storage says where the files of a volume are, and how a gateway comes to them.
type Storage struct {
	Backend  string // posix:/DIR, or smb://user@host/share
	Password string // of the user of a share
	UID, GID uint32 // owner of everything in a share
}

// IsShare reports whether it is a share of another server, which the volume's administrator alone uses.
func (s *Storage) IsShare() bool { return strings.HasPrefix(s.Backend, smb.Scheme) }

// Settings of a volume on a share.
const (
	sharePassword = "share-password" // sealed, in base64
	shareUID      = "share-uid"
	shareGID      = "share-gid"
)

// shareKey seals the passwords of shares.
func (m *Member) shareKey() accounts.Key { return accounts.Key(m.Secret("shares")) }

// Keep writes into a volume's record how to come to its share. If the password is empty the old one stays.
func (m *Member) Keep(v *record.Volume, at Storage) {
	v.Settings = maps.Clone(v.Settings)
	if v.Settings == nil {
		v.Settings = make(map[string]string)
	}
	if at.Password != "" {
		v.Settings[sharePassword] = base64.StdEncoding.EncodeToString(m.shareKey().SealText(v.Backend, []byte(at.Password)))
	}
	v.Settings[shareUID], v.Settings[shareGID] = strconv.FormatUint(uint64(at.UID), 10), strconv.FormatUint(uint64(at.GID), 10)
}

// storageOf is the reverse of Keep.
func (m *Member) storageOf(v *record.Volume) (at Storage, err error) {
	at.Backend = v.Backend
	if !at.IsShare() {
		return at, nil
	}
	for name, id := range map[string]*uint32{shareUID: &at.UID, shareGID: &at.GID} {
		n, err := strconv.ParseUint(v.Settings[name], 10, 32)
		if err != nil {
			return at, fmt.Errorf("volume %s: setting %s: %w", v.Name, name, err)
		}
		*id = uint32(n)
	}
	sealed, err := base64.StdEncoding.DecodeString(v.Settings[sharePassword])
	if err == nil {
		var plain []byte
		plain, err = m.shareKey().OpenText(v.Backend, sealed)
		at.Password = string(plain)
	}
	if err != nil {
		err = fmt.Errorf("volume %s: the password of %s: %w", v.Name, v.Backend, err)
	}
	return at, err
}

// applyStorage changes what an order says of a volume's share. made: the volume is new.
func (m *Member) applyStorage(o *VolumeOrder, v *record.Volume, made bool) error {
	at := Storage{Backend: v.Backend}
	switch share := at.IsShare(); {
	case !share && (o.Password != "" || o.UID != 0 || o.GID != 0):
		return fmt.Errorf("volume %s: a password, and an owner of everything, are for a share of another server", v.Name)
	case share && made && o.Password == "":
		return errors.New("the password of the share's user is missing: --password-file")
	case share && o.Exclusive:
		return fmt.Errorf("volume %s: what others change at their server cannot be exclusive", v.Name)
	case share && made:
		m.Keep(v, Storage{Password: o.Password, UID: o.UID, GID: o.GID})
	case share && o.Password != "":
		old, _ := m.storageOf(v) // if its password cannot be read it gets one that can
		m.Keep(v, Storage{Password: o.Password, UID: old.UID, GID: old.GID})
	}
	return nil
}
