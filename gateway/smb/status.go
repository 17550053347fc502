package smb

import (
	"errors"

	"causeway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// dataError is a status whose error body carries data.
type dataError struct {
	ntstatus.Status
	data []byte
}

func (e *dataError) Unwrap() error { return e.Status }

// statusOf maps every error that a handler can return to what the wire says.
func statusOf(err error) ntstatus.Status {
	if err == nil {
		return ntstatus.OK
	}
	if s, ok := err.(ntstatus.Status); ok {
		return s
	}
	if s := ntstatus.Status(0); errors.As(err, &s) {
		return s
	}
	if err == wire.ErrMalformed {
		return ntstatus.InvalidParameter
	}
	return statusOfCode(causeway.CodeOf(err))
}

// statusOfCode is the one place where codes become statuses.
func statusOfCode(c causeway.Code) ntstatus.Status {
	switch c {
	case causeway.OK:
		return ntstatus.OK
	case causeway.ErrPerm, causeway.ErrAccess:
		return ntstatus.AccessDenied
	case causeway.ErrNoEnt:
		return ntstatus.ObjectNameNotFound
	case causeway.ErrExist:
		return ntstatus.ObjectNameCollision
	case causeway.ErrXDev:
		return ntstatus.NotSameDevice
	case causeway.ErrNotDir:
		return ntstatus.NotADirectory
	case causeway.ErrIsDir:
		return ntstatus.FileIsADirectory
	case causeway.ErrInval, causeway.ErrFBig, causeway.ErrBadCookie:
		return ntstatus.InvalidParameter
	case causeway.ErrNoSpc:
		return ntstatus.DiskFull
	case causeway.ErrDQuot:
		return ntstatus.DiskFull
	case causeway.ErrROFS:
		return ntstatus.MediaWriteProtected
	case causeway.ErrMLink:
		return tooManyLinks
	case causeway.ErrNameTooLong, causeway.ErrBadName:
		return ntstatus.ObjectNameInvalid
	case causeway.ErrNotEmpty:
		return ntstatus.DirectoryNotEmpty
	case causeway.ErrStale, causeway.ErrBadHandle:
		return ntstatus.FileClosed
	case causeway.ErrNotSupp, causeway.ErrBadType, causeway.ErrNoDev, causeway.ErrNXIO:
		return ntstatus.NotSupported
	case causeway.ErrTooSmall:
		return ntstatus.BufferTooSmall
	case causeway.ErrDeletePending:
		return ntstatus.DeletePending
	case causeway.ErrBadOpen:
		return ntstatus.FileClosed
	case causeway.ErrBusy, causeway.ErrSharing:
		return ntstatus.SharingViolation
	case causeway.ErrLocked:
		return ntstatus.FileLockConflict
	case causeway.ErrNoLocks:
		return ntstatus.InsufficientResources
	case causeway.ErrDeadlock, causeway.ErrGrace, causeway.ErrNoGrace, causeway.ErrBlocked:
		return ntstatus.LockNotGranted
	case causeway.ErrLoop:
		return ntstatus.ObjectPathNotFound
	case causeway.ErrDelay, causeway.ErrMoved, causeway.ErrStaleEpoch, causeway.ErrClosed:
		return ntstatus.FileNotAvailable
	}
	return unexpectedIOError
}

// Statuses that only this front needs.
const (
	networkNameDeleted   ntstatus.Status = 0xc00000c9
	tooManyLinks         ntstatus.Status = 0xc0000265
	unexpectedIOError    ntstatus.Status = 0xc00000e9
	noPreauthOverlap     ntstatus.Status = 0xc05d0000
	requestOutOfSequence ntstatus.Status = 0xc000042a
	deletePending        ntstatus.Status = 0xc0000056
)
