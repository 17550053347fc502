package record

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"

	"causeway"
)

// Volume is what an operator sets for a volume, and the keys that were born with it.
type Volume struct {
	Header
	ID           causeway.VolumeID `json:"id"`
	Name         string            `json:"name"`
	Keys         []HandleKey       `json:"keys"` // the first one signs
	Exports      []Export          `json:"exports,omitempty"`
	Backend      string            `json:"backend"` // "posix:/mnt/x"
	Weight       uint64            `json:"weight"`
	AutoWeight   bool              `json:"auto_weight,omitempty"` // the master sets Weight by the demand that gateways report
	Group        string            `json:"group,omitempty"`
	Preferred    string            `json:"preferred,omitempty"` // a node
	CanMigrate   bool              `json:"can_migrate"`
	Domain       string            `json:"domain"`
	DomainPolicy DomainPolicy      `json:"domain_policy"`
	Async        bool              `json:"async,omitempty"`
	Exclusive    bool              `json:"exclusive,omitempty"`
	ReadOnly     bool              `json:"read_only,omitempty"`
	MirrorOf     causeway.VolumeID `json:"mirror_of,omitempty"` // the volume that offers the same; 0: none
	Settings     map[string]string `json:"settings,omitempty"`  // those of fronts and backends
	SMB          *Share            `json:"smb,omitempty"`       // nil: to all users
}

// Share is the stored form of [causeway.Share].
type Share struct {
	Off             bool     `json:"off,omitempty"`
	Encrypt         bool     `json:"encrypt,omitempty"`
	Users           []string `json:"users,omitempty"`
	CaseSensitive   bool     `json:"case_sensitive,omitempty"`
	CaseInsensitive bool     `json:"case_insensitive,omitempty"`
	Advisory        bool     `json:"advisory,omitempty"`
	unknown         unknown
}

// MarshalJSON keeps the fields that this version does not know.
func (s Share) MarshalJSON() ([]byte, error) {
	type plain Share
	return merge((*plain)(&s), s.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (s *Share) UnmarshalJSON(data []byte) (err error) {
	type plain Share
	s.unknown, err = split(data, (*plain)(s))
	return err
}

// Share returns how the volume is served over SMB.
func (v *Volume) Share() causeway.Share {
	if v.SMB == nil {
		return causeway.Share{}
	}
	return causeway.Share{Off: v.SMB.Off, Encrypt: v.SMB.Encrypt, Users: v.SMB.Users, CaseSensitive: v.SMB.CaseSensitive, CaseInsensitive: v.SMB.CaseInsensitive, Advisory: v.SMB.Advisory}
}

// ShareOf returns the stored form of a share.
func ShareOf(s causeway.Share) *Share {
	return &Share{Off: s.Off, Encrypt: s.Encrypt, Users: s.Users, CaseSensitive: s.CaseSensitive, CaseInsensitive: s.CaseInsensitive, Advisory: s.Advisory}
}

// DomainPolicy says what gateways outside a volume's domain do with it.
type DomainPolicy string

// The policies.
const (
	Reach  DomainPolicy = "reach"  // they have no path to the storage, and proxy
	Strict DomainPolicy = "strict" // they refuse the volume
)

// HandleKey is the stored form of [causeway.HandleKey].
type HandleKey struct {
	ID      uint8    `json:"id"`
	Secret  [16]byte `json:"-"`
	Base64  []byte   `json:"secret"`
	unknown unknown
}

// MarshalJSON keeps the fields that this version does not know.
func (k HandleKey) MarshalJSON() ([]byte, error) {
	type plain HandleKey
	k.Base64 = k.Secret[:]
	return merge((*plain)(&k), k.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (k *HandleKey) UnmarshalJSON(data []byte) (err error) {
	type plain HandleKey
	if k.unknown, err = split(data, (*plain)(k)); err != nil {
		return err
	}
	if len(k.Base64) != len(k.Secret) {
		return fmt.Errorf("handle key %d: secret of %d bytes", k.ID, len(k.Base64))
	}
	copy(k.Secret[:], k.Base64)
	return nil
}

// Export is the stored form of [causeway.ExportRule].
type Export struct {
	Prefix   netip.Prefix `json:"prefix"`
	ReadOnly bool         `json:"read_only,omitempty"`
	Squash   string       `json:"squash"` // "root", "none" or "all"
	AnonUID  uint32       `json:"anon_uid"`
	AnonGID  uint32       `json:"anon_gid"`
	Secure   bool         `json:"secure,omitempty"`
	unknown  unknown
}

var squashes = []string{causeway.RootSquash: "root", causeway.NoRootSquash: "none", causeway.AllSquash: "all"}

// MarshalJSON keeps the fields that this version does not know.
func (e Export) MarshalJSON() ([]byte, error) {
	type plain Export
	return merge((*plain)(&e), e.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (e *Export) UnmarshalJSON(data []byte) (err error) {
	type plain Export
	e.unknown, err = split(data, (*plain)(e))
	return err
}

var _ json.Unmarshaler = (*Export)(nil)

// ExportOf returns the stored form of r.
func ExportOf(r causeway.ExportRule) Export {
	return Export{Prefix: r.Prefix, ReadOnly: r.ReadOnly, Squash: squashes[r.Squash], AnonUID: r.AnonUID, AnonGID: r.AnonGID, Secure: r.Secure}
}

// Validate names the field that is wrong.
func (v *Volume) Validate() error {
	backend, err := url.Parse(v.Backend)
	switch {
	case v.ID == 0:
		return fmt.Errorf("volume %.80q: no id", v.Name)
	case !validName(v.Name):
		return fmt.Errorf("volume: name %.80q", v.Name)
	case len(v.Keys) == 0:
		return fmt.Errorf("volume %s: no handle key", v.Name)
	case err != nil || backend.Scheme == "":
		return fmt.Errorf("volume %s: backend %.80q is not KIND:PLACE, as in posix:/mnt/shared/%s", v.Name, v.Backend, v.Name)
	case v.Group != "" && !validName(v.Group):
		return fmt.Errorf("volume %s: group %.80q", v.Name, v.Group)
	case v.Preferred != "" && !validName(v.Preferred):
		return fmt.Errorf("volume %s: preferred node %.80q", v.Name, v.Preferred)
	case !validName(v.Domain):
		return fmt.Errorf("volume %s: domain %.80q", v.Name, v.Domain)
	case v.DomainPolicy != Reach && v.DomainPolicy != Strict:
		return fmt.Errorf("volume %s: domain_policy %.80q", v.Name, v.DomainPolicy)
	}
	if v.MirrorOf != 0 && (v.MirrorOf == v.ID || !v.ReadOnly) {
		return fmt.Errorf("volume %s: a mirror is another volume than its original, and read-only", v.Name)
	}
	for _, e := range v.Exports {
		if !e.Prefix.IsValid() || !slices.Contains(squashes, e.Squash) {
			return fmt.Errorf("volume %s: export to %v with squash %.80q", v.Name, e.Prefix, e.Squash)
		}
	}
	return nil
}

// Volume returns what the fronts see of the volume.
func (v *Volume) Volume() *causeway.Volume {
	out := &causeway.Volume{ID: v.ID, Name: v.Name, Async: v.Async, Exclusive: v.Exclusive, ReadOnly: v.ReadOnly, SMB: v.Share()}
	out.Mandatory = out.SMB.Mandatory()
	for _, k := range v.Keys {
		out.Keys = append(out.Keys, causeway.HandleKey{ID: k.ID, Secret: k.Secret})
	}
	for _, e := range v.Exports {
		out.Exports = append(out.Exports, causeway.ExportRule{Prefix: e.Prefix, ReadOnly: e.ReadOnly,
			Squash: causeway.Squash(slices.Index(squashes, e.Squash)), AnonUID: e.AnonUID, AnonGID: e.AnonGID, Secure: e.Secure})
	}
	return out
}

// SharesDomain reports whether node n may administer volume v.
func SharesDomain(n *Node, v *Volume) bool {
	return v.Domain == AllDomain || slices.Contains(n.Domains, v.Domain)
}

// Name says which volume has a name.
type Name struct {
	Header
	Volume causeway.VolumeID `json:"volume"`
}

// Validate names the field that is wrong.
func (n *Name) Validate() error {
	if n.Volume == 0 {
		return fmt.Errorf("name: no volume")
	}
	return nil
}
