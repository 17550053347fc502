package nlm

import "causeway"

// status is nlm4_stats.
type status uint32

const (
	granted           status = 0
	denied            status = 1
	deniedNoLocks     status = 2
	blocked           status = 3
	deniedGracePeriod status = 4
	deadlock          status = 5
	readOnly          status = 6
	staleHandle       status = 7
	fileTooBig        status = 8
	failed            status = 9
)

// statusOf maps what went wrong. What passes by itself becomes DENIED_GRACE_PERIOD: clients ask again after it.
func statusOf(err error) status {
	switch causeway.CodeOf(err) {
	case causeway.OK:
		return granted
	case causeway.ErrLocked:
		return denied
	case causeway.ErrBlocked:
		return blocked
	case causeway.ErrDeadlock:
		return deadlock
	case causeway.ErrNoLocks:
		return deniedNoLocks
	case causeway.ErrROFS:
		return readOnly
	case causeway.ErrStale, causeway.ErrBadHandle:
		return staleHandle
	case causeway.ErrFBig:
		return fileTooBig
	case causeway.ErrGrace, causeway.ErrNoGrace, causeway.ErrDelay, causeway.ErrWouldBlock, causeway.ErrMoved, causeway.ErrStaleEpoch, causeway.ErrClosed:
		return deniedGracePeriod
	}
	return failed
}

// of returns the status as a version knows it: before version 4 there were only the first five.
func (s status) of(wide bool) uint32 {
	switch {
	case wide || s <= deniedGracePeriod:
		return uint32(s)
	case s == deadlock:
		return uint32(denied)
	}
	return uint32(deniedNoLocks)
}
