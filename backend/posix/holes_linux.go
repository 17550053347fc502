package posix

import (
	"context"
	"math"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

var _ backend.DataFinder = (*object)(nil)

// Data implements backend.DataFinder. It moves the position of the descriptor, by which nobody reads or writes. A file that is cut meanwhile
// has data up to its end.
func (o *object) Data(_ context.Context, off uint64) (causeway.Span, error) {
	if off > math.MaxInt64 {
		return causeway.Span{}, causeway.ErrInval
	}
	from, err := unix.Seek(o.node.fd, int64(off), unix.SEEK_DATA)
	if err == unix.ENXIO {
		return causeway.Span{}, nil // a hole up to the end, or behind it
	}
	var to int64
	if err == nil {
		to, err = unix.Seek(o.node.fd, from, unix.SEEK_HOLE)
	}
	switch e, _ := err.(unix.Errno); e {
	case 0:
		return causeway.Span{Offset: uint64(from), Length: uint64(to - from)}, nil
	case unix.ENXIO:
		return causeway.Span{}, nil
	case unix.EINVAL: // a file system that knows nothing of it
		return causeway.Span{}, causeway.ErrNotSupp
	default:
		return causeway.Span{}, fail("seek", e)
	}
}
