package causeway

// HeldKind says what a Held is.
type HeldKind uint8

// The kinds, in the order in which a new owner of a volume takes them back.
const (
	HeldOpen HeldKind = iota + 1
	HeldLease
	HeldLock
)

// Held is one thing that a client holds in a volume, as a value: what a gateway remembers of its clients, sends to a shadow,
// and asserts at a volume's new owner. Open, Owner, Handle and Kind (and for a lock its span, for a lease its id) name it;
// who has a newer one with that name replaces the older one.
type Held struct {
	Kind    HeldKind
	Gone    bool // it is held no longer
	Handle  Handle
	Owner   Owner
	Open    OpenID // of an open; of an SMB open's lock a number that tells equal ones apart
	Gateway string // that received the request
	Serial  uint64 // rises with every change of anything in the volume's table

	// A lock.
	Span      Span
	Exclusive bool

	// An open.
	Access        AccessMask
	Share         Sharing
	Dir           Handle // in which it was opened by Name; zero if by handle
	Name          string
	UID           uint32 // who opened it
	DeleteOnClose bool
	DeletePending bool // of the object
	KeepSeconds   uint32
	GUID          [16]byte
	Disconnected  bool

	// The lease of an open, or a lease.
	Lease    LeaseID
	Caching  Caching
	Epoch    uint16
	V2       bool
	Parent   LeaseKey
	Breaking bool
	BreakTo  Caching
}
