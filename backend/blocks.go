package backend

import (
	"context"
	"errors"

	"causeway"
)

// Tag is what every read and write of a shared device carries, for the device to check in the same moment as it does it: it
// refuses an epoch that is not the volume's (ErrStaleEpoch) and a key that was removed (ErrFenced).
type Tag struct {
	Epoch causeway.Epoch
	Key   uint64
}

// ErrFenced says that the device no longer takes I/O under a key: the owner of the volume took its holder for dead. What it
// refused was not done, and what was not committed is lost. Its code is ErrStaleEpoch.
var ErrFenced = &causeway.Error{Op: "device", Code: causeway.ErrStaleEpoch, Err: errors.New("the registration was removed")}

// Blocks is an optional power of a Store whose bytes lie on a device that every gateway reaches by itself: extents say where.
// Who holds a grant does I/O by these and needs no Open, which such a store answers at the owner alone. Offsets and lengths
// are multiples of BlockSize.
type Blocks interface {
	BlockSize() uint64
	// Register returns the key under which this gateway does I/O: the one that it has, unless that is lost (0: none is).
	Register(ctx context.Context, lost uint64) (key uint64, err error)
	ReadBlocks(ctx context.Context, t Tag, off uint64, p []byte) error
	WriteBlocks(ctx context.Context, t Tag, off uint64, p []byte) error
	// Flush makes earlier writes stable, and checks the tag as a write does.
	Flush(ctx context.Context, t Tag) error
}

// Mapper is an optional power of a Store which maps files to blocks itself, at the gateway that owns the volume. Its Extents
// may map less than the span, from its start on, and by ToEOF allocates nothing: who needs more asks again. What it says is
// stable before it returns.
type Mapper interface {
	// During returns the volume as it is in one ownership: when that is over, everything fails, also if this gateway owns the
	// volume again by then. So what still runs of an earlier one changes nothing behind the back of the grants of a later one.
	// It is the same Store, and a Mapper, for as long as the ownership lasts.
	During(e causeway.Epoch) Store
	// Commit makes extents that a holder wrote part of the file, and the file at least so long (RFC 5663 §2.3.2). It is
	// stable when it returns. ErrStale if one of them is not the file's any more: then nothing is done. Done twice, it is
	// done once.
	Commit(ctx context.Context, id causeway.ObjectID, size uint64, mtime causeway.Time, written []causeway.Extent) error
	// Settle takes back what is allocated and not committed of an object that nobody writes. It does not wait.
	Settle(id causeway.ObjectID)
	// Provisional lists the objects that Settle would take something from.
	Provisional() []causeway.ObjectID
	// Fence returns when nothing that a gateway was given before can reach the device any more. What it asks for later can.
	Fence(ctx context.Context, holder string) error
}
