package causeway

import (
	"math"
	"time"
)

// Span is a range of bytes. Length ToEOF reaches to the end of all files.
type Span struct {
	Offset, Length uint64
}

// ToEOF as a length means "to the end, wherever that is".
const ToEOF = math.MaxUint64

// End returns the first offset behind the span, ToEOF if it is unbounded or would overflow.
func (s Span) End() uint64 {
	if s.Length == ToEOF || s.Offset+s.Length < s.Offset {
		return ToEOF
	}
	return s.Offset + s.Length
}

// Overlaps reports whether both contain a byte.
func (s Span) Overlaps(t Span) bool {
	return s.Length != 0 && t.Length != 0 && s.Offset < t.End() && t.Offset < s.End()
}

// IOMode says what a grant allows.
type IOMode uint8

// The modes (RFC 8881 §3.3.20, layoutiomode4).
const (
	IORead IOMode = iota + 1
	IOReadWrite
)

// ExtentState says what an extent's bytes are (after RFC 5663 §2.3.1).
type ExtentState uint8

// The states.
const (
	ExtentReadWrite   ExtentState = iota // valid data, writable
	ExtentRead                           // valid data, not writable in place
	ExtentProvisional                    // allocated, to become visible by Commit; zero what is not written
	ExtentHole                           // no storage; reads as zeros
)

// Extent maps a range of a file to a device. For storage whose blocks a file system below owns, the device is the file
// itself and one extent covers it.
type Extent struct {
	Device       uint64
	FileOffset   uint64
	DeviceOffset uint64
	Length       uint64
	State        ExtentState
}

// Locator is an opaque hint of the owner to other gateways how to find the object on the storage.
type Locator []byte

// Leases say what of an object a gateway may rely on without asking, until it is recalled or its time is over.
type Leases uint8

// The leases. Together with the I/O mode they are what a grant allows, what a recall ends, and what conflicts.
const (
	LeaseAttr  Leases = 1 << iota // the attributes stay as they came with the grant, but for what the holder itself writes
	LeaseNames                    // of a directory: its names stay, and so do those that it has not
)

// Grant is what pNFS calls a layout, given to a gateway for an object: where the bytes lie, what may be done with them, for
// how long, and under which ownership.
type Grant struct {
	Handle  Handle
	Locator Locator
	Mode    IOMode // 0: leases only
	Span    Span
	Extents []Extent
	Leases  Leases
	Attr    Attr          // on an exclusive volume complete, with the ACL: decides rights there
	Deny    []Span        // ranges that a mandatory lock denies
	Guarded bool          // leases or mandatory locks are on the object: gateway.Guard is asked before each I/O
	Lease   time.Duration // from the moment the request for it was sent; 0: as long as the process lives (local)
	Epoch   Epoch
	Seq     uint64 // orders grants and recalls of one object; rises over all epochs
}
