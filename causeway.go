// Package causeway holds the nouns that all rooms speak: volumes, objects, handles, credentials, attributes, grants and
// errors. It imports the standard library only, does no I/O and knows no protocol; what acts on these nouns lives in the
// rooms below it.
package causeway

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// VolumeID identifies a volume for its whole life, on every gateway. Zero is no volume.
type VolumeID uint64

// String returns the id as 16 hexadecimal digits.
func (v VolumeID) String() string { return fmt.Sprintf("%016x", uint64(v)) }

// ObjectIDSize is the fixed size of an [ObjectID] in bytes.
const ObjectIDSize = 32

// ObjectID identifies an object (file, directory, symbolic link, …) within a volume for the object's whole life: it
// survives renames and restarts, is the same for every hard link and at every gateway, and is never reused for another
// object while a client may still hold it. Its bytes are the backend's own; all others only compare them.
type ObjectID [ObjectIDSize]byte

// IsZero reports whether id names nothing.
func (id ObjectID) IsZero() bool { return id == ObjectID{} }

// String returns the id in hexadecimal, without the zero bytes at its end.
func (id ObjectID) String() string {
	n := len(id)
	for n > 0 && id[n-1] == 0 {
		n--
	}
	return hex.EncodeToString(id[:n])
}

// Handle names an object among all volumes. It is comparable, and a capability: who holds the MACed wire form of it (see
// gateway/nfs/fh) may try operations on the object wherever it has been renamed to.
type Handle struct {
	Volume VolumeID
	Object ObjectID
}

// String returns volume and object, for logs.
func (h Handle) String() string { return h.Volume.String() + ":" + h.Object.String() }

// IsZero reports whether h names nothing.
func (h Handle) IsZero() bool { return h == Handle{} }

// Epoch is the fencing number of an ownership of a volume. It rises with every change of owner; a message with a lower one
// is refused. Incarnation is the cluster's, Revision the create revision of the owner key, so that a restored configuration
// database cannot lower an epoch.
type Epoch struct {
	Incarnation, Revision uint64
}

// Before reports whether e is older than f.
func (e Epoch) Before(f Epoch) bool {
	return e.Incarnation < f.Incarnation || e.Incarnation == f.Incarnation && e.Revision < f.Revision
}

// Verifier tells a client whether unstable writes may have been lost since it saw another one (RFC 1813 §3.3.7, §3.3.21).
type Verifier [8]byte

// MaxName is the longest name of a directory entry in bytes.
const MaxName = 255

// CheckName says whether an entry can have a name at all: ErrNameTooLong, or ErrBadName if it is empty or has a slash or a NUL. "."
// and ".." pass, what they mean is the caller's to say.
func CheckName(name string) Code {
	switch {
	case len(name) > MaxName:
		return ErrNameTooLong
	case name == "" || strings.IndexByte(name, 0) >= 0 || strings.IndexByte(name, '/') >= 0:
		return ErrBadName
	}
	return OK
}

// MaxPath is the longest target of a symbolic link in bytes.
const MaxPath = 4096

// MaxTransfer is the largest READ or WRITE that any front offers, in bytes.
const MaxTransfer = 1 << 20

// Hash spreads handles over shards and stripes. It is no cryptographic hash; object ids are the backend's, not the client's.
func (h Handle) Hash() uint64 {
	const prime = 0x9e3779b97f4a7c15
	x := uint64(h.Volume) * prime
	for i := 0; i < ObjectIDSize; i += 8 {
		x = (x ^ binary.LittleEndian.Uint64(h.Object[i:])) * prime
		x ^= x >> 29
	}
	return x
}
