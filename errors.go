package causeway

import (
	"context"
	"errors"
)

// Code is the closed set of what can go wrong. Each front maps it to its protocol once. A Code is itself an error, so that
// expected outcomes of the data path (no such entry, would block) cost no allocation.
type Code uint8

// The codes. Comments name the errno or the protocol error that is meant, where the name does not say it.
const (
	OK               Code = iota
	ErrPerm               // EPERM: only the owner or the superuser may
	ErrNoEnt              // no such entry
	ErrIO                 // hard error of the storage
	ErrNXIO               // no such device
	ErrAccess             // EACCES: rights refuse it
	ErrExist              // entry exists
	ErrXDev               // across volumes
	ErrNoDev              // operation not supported by the device
	ErrNotDir             //
	ErrIsDir              //
	ErrInval              // argument not valid for the object
	ErrFBig               // beyond the largest file
	ErrNoSpc              // storage full
	ErrROFS               // read-only storage or export
	ErrMLink              // too many links
	ErrNameTooLong        //
	ErrNotEmpty           //
	ErrDQuot              // quota exceeded
	ErrStale              // the object is gone
	ErrBadHandle          // not a handle of ours: forged, truncated, foreign
	ErrNotSync            // guard of SETATTR does not match
	ErrBadCookie          // no such directory position
	ErrNotSupp            // not supported by this volume
	ErrTooSmall           // reply space too small
	ErrServerFault        // a bug or an unmappable failure
	ErrBadType            // cannot create this type
	ErrDelay              // try later (JUKEBOX, DELAY)
	ErrLoop               // too many symbolic links
	ErrBusy               // EBUSY, ETXTBSY
	ErrBadName            // the name is empty, contains NUL or "/", or is reserved
	ErrWouldBlock         // with Caller.NoWait: nothing was done; call again without it
	ErrLocked             // conflicts with a lock or share mode of another owner
	ErrBlocked            // a lock request was queued: an event follows
	ErrDeadlock           // waiting would close a cycle
	ErrGrace              // only reclaims are taken now
	ErrNoGrace            // a reclaim outside the grace period
	ErrNoLocks            // no room for another lock
	ErrStaleEpoch         // the message belongs to an earlier ownership
	ErrMoved              // another gateway serves this volume
	ErrClosed             // the gateway is stopping
	ErrSharing            // conflicts with the access or share mode of another open
	ErrDeletePending      // the object goes with its last open
	ErrBadOpen            // no such open: closed, expired, taken over
	codes
)

var codeNames = [codes]string{
	OK: "ok", ErrPerm: "not owner", ErrNoEnt: "no such file or directory", ErrIO: "input/output error", ErrNXIO: "no such device or address",
	ErrAccess: "permission denied", ErrExist: "file exists", ErrXDev: "cross-volume link", ErrNoDev: "no such device",
	ErrNotDir: "not a directory", ErrIsDir: "is a directory", ErrInval: "invalid argument", ErrFBig: "file too large",
	ErrNoSpc: "no space left", ErrROFS: "read-only", ErrMLink: "too many links", ErrNameTooLong: "name too long",
	ErrNotEmpty: "directory not empty", ErrDQuot: "quota exceeded", ErrStale: "stale handle", ErrBadHandle: "bad handle",
	ErrNotSync: "guard mismatch", ErrBadCookie: "bad directory cookie", ErrNotSupp: "not supported", ErrTooSmall: "reply too small",
	ErrServerFault: "server fault", ErrBadType: "bad type", ErrDelay: "try later", ErrLoop: "too many symbolic links", ErrBusy: "busy",
	ErrBadName: "bad name", ErrWouldBlock: "would block", ErrLocked: "locked", ErrBlocked: "queued", ErrDeadlock: "deadlock",
	ErrGrace: "in grace period", ErrNoGrace: "no grace period", ErrNoLocks: "no locks available", ErrStaleEpoch: "stale epoch",
	ErrMoved: "moved", ErrClosed: "closed", ErrSharing: "sharing violation", ErrDeletePending: "delete pending", ErrBadOpen: "no such open",
}

// Error returns the code in words.
func (c Code) Error() string {
	if c < codes && codeNames[c] != "" {
		return codeNames[c]
	}
	return "unknown error"
}

// Known reports whether c is one of the codes: one that came from a later version may not be.
func (c Code) Known() bool { return c < codes }

// Error carries the operation, the code and the object of a failure. It is logged once, where it stops travelling.
type Error struct {
	Op     string // the operation, in the room's words: "create", "open"
	Code   Code
	Object ObjectID // zero if none
	Err    error    // the cause, may be nil
}

// Error returns "op: code: cause".
func (e *Error) Error() string {
	s := e.Op + ": " + e.Code.Error()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, causeway.ErrNoEnt) true for an Error with that code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// CodeOf returns the code of err: OK for nil, ErrDelay for an expired or cancelled context, ErrServerFault for an error that
// carries none.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if c, ok := err.(Code); ok {
		return c
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	if c := Code(0); errors.As(err, &c) {
		return c
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ErrDelay
	}
	return ErrServerFault
}
