package v3

import (
	"context"
	"encoding/binary"
	"log/slog"

	"causeway"
	"causeway/gateway/nfs/rpc"
)

// status is nfsstat3 (RFC 1813 §2.6).
type status uint32

const (
	ok             status = 0
	errPerm        status = 1
	errNoEnt       status = 2
	errIO          status = 5
	errNXIO        status = 6
	errAcces       status = 13
	errExist       status = 17
	errXDev        status = 18
	errNoDev       status = 19
	errNotDir      status = 20
	errIsDir       status = 21
	errInval       status = 22
	errFBig        status = 27
	errNoSpc       status = 28
	errROFS        status = 30
	errMLink       status = 31
	errNameTooLong status = 63
	errNotEmpty    status = 66
	errDQuot       status = 69
	errStale       status = 70
	errBadHandle   status = 10001
	errNotSync     status = 10002
	errBadCookie   status = 10003
	errNotSupp     status = 10004
	errTooSmall    status = 10005
	errServerFault status = 10006
	errBadType     status = 10007
	errJukebox     status = 10008
)

// statusOf maps what can go wrong to what a client understands. Every code has its line; a test holds that.
func statusOf(code causeway.Code) status {
	switch code {
	case causeway.OK:
		return ok
	case causeway.ErrPerm:
		return errPerm
	case causeway.ErrNoEnt:
		return errNoEnt
	case causeway.ErrIO:
		return errIO
	case causeway.ErrNXIO:
		return errNXIO
	case causeway.ErrAccess, causeway.ErrSharing, causeway.ErrDeletePending: // an answer: waiting could last for ever
		return errAcces
	case causeway.ErrExist:
		return errExist
	case causeway.ErrXDev:
		return errXDev
	case causeway.ErrNoDev:
		return errNoDev
	case causeway.ErrNotDir:
		return errNotDir
	case causeway.ErrIsDir:
		return errIsDir
	case causeway.ErrInval:
		return errInval
	case causeway.ErrFBig:
		return errFBig
	case causeway.ErrNoSpc:
		return errNoSpc
	case causeway.ErrROFS:
		return errROFS
	case causeway.ErrMLink:
		return errMLink
	case causeway.ErrNameTooLong:
		return errNameTooLong
	case causeway.ErrNotEmpty:
		return errNotEmpty
	case causeway.ErrDQuot:
		return errDQuot
	case causeway.ErrStale:
		return errStale
	case causeway.ErrBadHandle:
		return errBadHandle
	case causeway.ErrNotSync:
		return errNotSync
	case causeway.ErrBadCookie:
		return errBadCookie
	case causeway.ErrNotSupp:
		return errNotSupp
	case causeway.ErrTooSmall:
		return errTooSmall
	case causeway.ErrBadType:
		return errBadType
	}
	return statusOfForeign(code)
}

// statusOfForeign maps the codes for which NFSv3 has no word of its own.
func statusOfForeign(code causeway.Code) status {
	switch code {
	case causeway.ErrDelay, causeway.ErrWouldBlock, causeway.ErrGrace, causeway.ErrStaleEpoch, causeway.ErrMoved, causeway.ErrClosed:
		return errJukebox // passes by itself: the client asks again
	case causeway.ErrBadName:
		return errAcces // RFC 1813 §3.2 and §4.6: null names and characters that the server cannot handle
	case causeway.ErrBusy, causeway.ErrLocked:
		return errAcces // may last for ever: JUKEBOX would hang the application
	case causeway.ErrLoop:
		return errInval // a symbolic link where a procedure needs something else
	case causeway.ErrServerFault, causeway.ErrBlocked, causeway.ErrDeadlock, causeway.ErrNoGrace, causeway.ErrNoLocks:
		return errServerFault // a bug, or answers about locks, for which nothing here asks
	}
	return errServerFault
}

// status begins a result: it writes the status, counts it and logs a failure.
func (s *Server) status(ctx context.Context, c *rpc.Call, err error) {
	code := causeway.CodeOf(err)
	st := statusOf(code)
	s.counts[c.Proc][st.index()].Add(1)
	c.Reply.Uint32(uint32(st))
	if code != causeway.OK && s.log.Enabled(ctx, slog.LevelDebug) {
		s.log.LogAttrs(ctx, slog.LevelDebug, "call failed", slog.String("op", procedures[c.Proc].name),
			slog.Any("client", c.Remote), slog.String("code", code.Error()), slog.Any("err", err))
	}
}

// tryLater reports whether a result says that nothing was done and the client should ask again.
func tryLater(result []byte) bool {
	return len(result) >= 4 && status(binary.BigEndian.Uint32(result)) == errJukebox
}

// statuses is how many places index needs.
const statuses = 71 + 8

// index returns a small number for a status.
func (st status) index() int {
	if st >= errBadHandle {
		return 71 + int(st-errBadHandle)
	}
	return int(st)
}

var statusNames = map[status]string{
	ok: "OK", errPerm: "PERM", errNoEnt: "NOENT", errIO: "IO", errNXIO: "NXIO", errAcces: "ACCES", errExist: "EXIST", errXDev: "XDEV",
	errNoDev: "NODEV", errNotDir: "NOTDIR", errIsDir: "ISDIR", errInval: "INVAL", errFBig: "FBIG", errNoSpc: "NOSPC", errROFS: "ROFS",
	errMLink: "MLINK", errNameTooLong: "NAMETOOLONG", errNotEmpty: "NOTEMPTY", errDQuot: "DQUOT", errStale: "STALE",
	errBadHandle: "BADHANDLE", errNotSync: "NOT_SYNC", errBadCookie: "BAD_COOKIE", errNotSupp: "NOTSUPP", errTooSmall: "TOOSMALL",
	errServerFault: "SERVERFAULT", errBadType: "BADTYPE", errJukebox: "JUKEBOX",
}

// Counts calls f with the number of calls answered since the start, by procedure and status, where it is not zero.
func (s *Server) Counts(f func(procedure, status string, calls uint64)) {
	for proc := range s.counts {
		for st, name := range statusNames {
			if n := s.counts[proc][st.index()].Load(); n != 0 {
				f(procedures[proc].name, name, n)
			}
		}
	}
}
