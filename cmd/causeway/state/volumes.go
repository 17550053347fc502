package state

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"causeway"
)

// VolumeRecord is what is remembered of a volume for as long as the directory lives, also while it is not served: a handle
// that a client kept must verify when the volume comes back.
type VolumeRecord struct {
	Name string      `json:"name"`
	ID   VolumeID    `json:"id"`
	Path string      `json:"path"`
	Born time.Time   `json:"born"`
	Keys []KeyRecord `json:"keys"` // the first one signs
}

// KeyRecord is a handle key of a volume.
type KeyRecord struct {
	ID     uint8  `json:"id"`
	Secret Secret `json:"secret"`
}

// VolumeID is stored as 16 hexadecimal digits: JSON numbers do not hold 64 bits everywhere.
type VolumeID causeway.VolumeID

// MarshalText returns the digits.
func (v VolumeID) MarshalText() ([]byte, error) { return []byte(causeway.VolumeID(v).String()), nil }

// UnmarshalText parses the digits.
func (v *VolumeID) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || n == 0 || len(text) != 16 {
		return fmt.Errorf("%q is not a volume id", text)
	}
	*v = VolumeID(n)
	return nil
}

// Secret is 16 bytes, stored in hexadecimal. It does not print itself.
type Secret [16]byte

// String hides the secret.
func (Secret) String() string { return "secret" }

// GoString hides the secret.
func (Secret) GoString() string { return "secret" }

// MarshalText returns the hexadecimal digits.
func (s Secret) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText parses the hexadecimal digits.
func (s *Secret) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(s) || len(text)%2 != 0 {
		return fmt.Errorf("a key has %d digits, not %d", len(text), 2*len(s))
	}
	_, err := hex.Decode(s[:], text)
	return err
}

type volumesFile struct {
	Volumes []VolumeRecord `json:"volumes"`
}

func (d *Dir) loadVolumes() error {
	var f volumesFile
	if err := d.read("volumes.json", &f); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ids := map[VolumeID]bool{}
	for _, v := range f.Volumes {
		if v.ID == 0 || ids[v.ID] || len(v.Keys) == 0 {
			return fmt.Errorf("volumes.json is damaged: volume %q (%v) stands twice or has no key", v.Name, causeway.VolumeID(v.ID))
		}
		ids[v.ID] = true
	}
	d.volumes = f.Volumes
	return nil
}

// Bind returns the record of the volume with this id, and makes one with a new key when the id was never seen. A volume
// that has another name or path than before keeps its key, so that clients keep their handles. It is stable on return.
func (d *Dir) Bind(id causeway.VolumeID, name, path string, now time.Time) (VolumeRecord, error) {
	if id == 0 {
		return VolumeRecord{}, fmt.Errorf("volume %q has no id", name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	next := slices.Clone(d.volumes)
	i := slices.IndexFunc(next, func(v VolumeRecord) bool { return v.ID == VolumeID(id) })
	switch {
	case i < 0:
		i = len(next)
		next = append(next, VolumeRecord{ID: VolumeID(id), Born: now.UTC(), Keys: []KeyRecord{{ID: 1, Secret: random()}}})
	case next[i].Name == name && next[i].Path == path:
		return next[i], nil
	}
	next[i].Name, next[i].Path = name, path
	if err := d.write("volumes.json", &volumesFile{next}); err != nil {
		return VolumeRecord{}, fmt.Errorf("state directory %s: %w", d.path, err)
	}
	d.volumes = next
	return next[i], nil
}

// HandleKeys returns the keys in the form in which a volume carries them.
func (v *VolumeRecord) HandleKeys() []causeway.HandleKey {
	keys := make([]causeway.HandleKey, len(v.Keys))
	for i, k := range v.Keys {
		keys[i] = causeway.HandleKey{ID: k.ID, Secret: k.Secret}
	}
	return keys
}
