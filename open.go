package causeway

// AccessMask is what an open may do with its object: the object rights of [MS-DTYP] 2.4.3 in the bits of [MS-SMB2]
// 2.2.13.1. Fronts map generic rights before; an NFSv4 open for reading is FileReadData, one for writing FileWriteData.
type AccessMask uint32

// The rights. On a directory the first three list it, add files and add directories, and FileExecute searches it.
const (
	FileReadData AccessMask = 1 << iota
	FileWriteData
	FileAppendData
	FileReadEA
	FileWriteEA
	FileExecute
	FileDeleteChild
	FileReadAttributes
	FileWriteAttributes
)

// The standard rights, and two requests that are none.
const (
	Delete         AccessMask = 1 << 16
	ReadControl    AccessMask = 1 << 17
	WriteDAC       AccessMask = 1 << 18
	WriteOwner     AccessMask = 1 << 19
	Synchronize    AccessMask = 1 << 20
	MaximumAllowed AccessMask = 1 << 25 // as much as the caller may have, besides the rest
)

// Sharing is what an open lets other opens do ([MS-SMB2] 2.2.13, ShareAccess). NFSv4's deny bits are what is missing.
type Sharing uint8

// The ways to share.
const (
	ShareRead Sharing = 1 << iota
	ShareWrite
	ShareDelete
	ShareNone Sharing = 0
	ShareAll          = ShareRead | ShareWrite | ShareDelete
)

// Caching is what the holder of a lease may keep from others ([MS-SMB2] 2.2.13.2.8, in its bits).
type Caching uint8

// The caching rights. Oplocks are sets of them: level II CacheRead, exclusive CacheRead|CacheWrite, batch all three. A read
// delegation of NFSv4 is CacheRead|CacheHandle, a write delegation all three.
const (
	CacheRead   Caching = 1 << iota // of data and attributes
	CacheHandle                     // keep the open after its user has closed it
	CacheWrite                      // of data, attributes and byte-range locks
	CacheNone   Caching = 0
	CacheAll            = CacheRead | CacheHandle | CacheWrite
)

// LeaseKind says whose rules a lease follows.
type LeaseKind uint8

// The kinds.
const (
	LeaseNone  LeaseKind = iota
	Oplock               // belongs to one open
	Lease                // belongs to a key that opens of one client share
	Delegation           // of NFSv4: belongs to a client
)

// LeaseKey names a lease among those of its client.
type LeaseKey [16]byte

// LeaseID names a lease in the cluster. Client is the SMB client's GUID or the NFSv4 clientid, as in Owner.Client; the key of
// an oplock is its OpenID, that of a delegation the OpenID of the open that it came with.
type LeaseID struct {
	Kind   LeaseKind
	Client string
	Key    LeaseKey
}
