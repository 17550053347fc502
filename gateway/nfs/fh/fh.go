// Package fh makes and reads filehandles: the wire form of a causeway.Handle, authenticated with its volume's key.
//
// A handle is a capability: who holds one may try operations on the object. So it is authenticated, the same at every
// gateway and after restarts, and it holds nothing but identity: no path, no generation of a process, no rights. Who may
// use it from where belongs to package export.
//
// Layout, 60 bytes, all integers big endian (RFC 1813 §2.4 allows 64):
//
//	0   1  version, 1
//	1   1  id of the key
//	2   2  zero
//	4   8  volume id
//	12 32  object id
//	44 16  SipHash-2-4-128 of bytes 0 to 43, in its own (little endian) order
package fh

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/dchest/siphash"

	"causeway"
	"causeway/gateway"
)

// Size is the length of every handle in bytes.
const Size = 60

const (
	version  = 1
	objectAt = 12
	macAt    = objectAt + causeway.ObjectIDSize
)

// Append appends the handle of an object of v to dst, signed with the volume's first key. A volume without a key has no
// handles: nothing is appended.
func Append(dst []byte, v *causeway.Volume, id causeway.ObjectID) []byte {
	if len(v.Keys) == 0 {
		return dst
	}
	key := &v.Keys[0]
	at := len(dst)
	dst = append(dst, version, key.ID, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.ID))
	dst = append(dst, id[:]...)
	first, second := sum(key, dst[at:])
	dst = binary.LittleEndian.AppendUint64(dst, first)
	return binary.LittleEndian.AppendUint64(dst, second)
}

// Parse returns what a handle names, and its volume. It fails with ErrBadHandle for what no gateway can have made, and with
// ErrStale for a handle of a volume that is not served.
func Parse(wire []byte, cat *gateway.Catalog) (causeway.Handle, *causeway.Volume, error) {
	id, ok := VolumeID(wire)
	if !ok {
		return causeway.Handle{}, nil, causeway.ErrBadHandle
	}
	v := cat.ByID(id)
	if v == nil {
		return causeway.Handle{}, nil, causeway.ErrStale
	}
	if !verify(wire, v) {
		return causeway.Handle{}, nil, causeway.ErrBadHandle
	}
	return causeway.Handle{Volume: id, Object: causeway.ObjectID(wire[objectAt:macAt])}, v, nil
}

// VolumeID returns the volume that a handle claims to be of, if it has the form of one. Nothing is verified: good for
// routing, never for access.
func VolumeID(wire []byte) (causeway.VolumeID, bool) {
	if len(wire) != Size || wire[0] != version || wire[2]|wire[3] != 0 {
		return 0, false
	}
	return causeway.VolumeID(binary.BigEndian.Uint64(wire[4:])), true
}

// verify tries every key with the handle's key id: ids are 8 bits, a long-lived volume may have used one twice.
func verify(wire []byte, v *causeway.Volume) bool {
	for i := range v.Keys {
		key := &v.Keys[i]
		if key.ID != wire[1] {
			continue
		}
		var mac [Size - macAt]byte
		first, second := sum(key, wire[:macAt])
		binary.LittleEndian.PutUint64(mac[:], first)
		binary.LittleEndian.PutUint64(mac[8:], second)
		if subtle.ConstantTimeCompare(mac[:], wire[macAt:]) == 1 {
			return true
		}
	}
	return false
}

func sum(key *causeway.HandleKey, p []byte) (first, second uint64) {
	return siphash.Hash128(binary.LittleEndian.Uint64(key.Secret[:]), binary.LittleEndian.Uint64(key.Secret[8:]), p)
}
