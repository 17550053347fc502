package causeway

import (
	"encoding/hex"
	"slices"
	"strings"
)

// Cred is who asks, after authentication, squashing and group lookup. UID 0 is the superuser: squash it before, not after.
type Cred struct {
	UID, GID uint32
	Groups   []uint32 // supplementary groups; borrowed for the duration of a call
}

// Nobody is the user and group that squashed callers become by default.
const Nobody = 65534

// NoID is no user and no group: in chown(2) it means that the owner stays.
const NoID = 1<<32 - 1

// InGroup reports whether gid is the caller's primary or one of his supplementary groups.
func (c *Cred) InGroup(gid uint32) bool { return c.GID == gid || slices.Contains(c.Groups, gid) }

// OpenID names an open (an NFSv4 stateid's or an SMB FileId's open); zero for protocols without opens.
type OpenID [16]byte

// OpID names one call that must not be done twice, and is the same each time the client repeats it: at any gateway, and after a
// restart. Zero is no name: the call is done each time.
type OpID [16]byte

// String is for logs.
func (o OpID) String() string { return hex.EncodeToString(o[:]) }

// OwnerKind tells which protocol's rules a lock owner follows.
type OwnerKind uint8

// The kinds of lock owners.
const (
	OwnerNone  OwnerKind = iota
	OwnerNLM             // Client: caller_name@address; Opaque: svid (4 bytes, big endian)
	OwnerV4              // Client: clientid (8 bytes); Opaque: lock-owner
	OwnerSMB             // Client: the client's GUID (16 bytes) and the user's id; Opaque: OpenID (16 bytes)
	OwnerLocal           // a Go program in the gateway's process. Client: a random name; Opaque: a number per open file
	OwnerAware           // a program with the client library. Client: its id in hexadecimal@address; Opaque: a number per open file (8 bytes)
)

// Owner is a lock owner of any protocol: a comparable tagged union. Two locks of equal owners never conflict.
type Owner struct {
	Kind   OwnerKind
	Client string
	Opaque string
}

// Party is for whom bounds hold that a client cannot evade by calling itself otherwise: the address of clients that choose their names, the user of an SMB
// client. Of others it is the client.
func (o Owner) Party() string {
	const guid = 16
	switch o.Kind {
	case OwnerNLM, OwnerAware:
		return o.Client[strings.LastIndexByte(o.Client, '@')+1:]
	case OwnerSMB:
		return o.Client[min(len(o.Client), guid):]
	}
	return o.Client
}
