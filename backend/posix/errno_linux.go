package posix

import (
	"golang.org/x/sys/unix"

	"causeway"
)

// codeOf maps an errno. It is the only place that does; operations that mean something else by one say so where they do.
func codeOf(e unix.Errno) causeway.Code {
	switch e {
	case 0:
		return causeway.OK
	case unix.EPERM:
		return causeway.ErrPerm
	case unix.ENOENT:
		return causeway.ErrNoEnt
	case unix.EIO, unix.EREMOTEIO, unix.ENODATA, unix.EUCLEAN, unix.EBADMSG, unix.ENOMEDIUM, unix.ESHUTDOWN, unix.ENOTCONN:
		return causeway.ErrIO
	case unix.ENXIO:
		return causeway.ErrNXIO
	case unix.EACCES:
		return causeway.ErrAccess
	case unix.EEXIST:
		return causeway.ErrExist
	case unix.EXDEV:
		return causeway.ErrXDev
	case unix.ENODEV:
		return causeway.ErrNoDev
	case unix.ENOTDIR:
		return causeway.ErrNotDir
	case unix.EISDIR:
		return causeway.ErrIsDir
	case unix.EINVAL, unix.EDOM, unix.ERANGE:
		return causeway.ErrInval
	case unix.EFBIG, unix.EOVERFLOW:
		return causeway.ErrFBig
	case unix.ENOSPC:
		return causeway.ErrNoSpc
	case unix.EROFS:
		return causeway.ErrROFS
	case unix.EMLINK:
		return causeway.ErrMLink
	case unix.ENAMETOOLONG:
		return causeway.ErrNameTooLong
	case unix.ENOTEMPTY:
		return causeway.ErrNotEmpty
	case unix.EDQUOT:
		return causeway.ErrDQuot
	case unix.ESTALE:
		return causeway.ErrStale
	case unix.ELOOP:
		return causeway.ErrLoop
	case unix.EBUSY, unix.ETXTBSY:
		return causeway.ErrBusy
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.ENOTTY:
		return causeway.ErrNotSupp
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN, unix.ETIMEDOUT, unix.EINTR, unix.ENOLCK, unix.ENOBUFS:
		return causeway.ErrDelay
	case unix.EILSEQ:
		return causeway.ErrBadName
	}
	return causeway.ErrServerFault
}

// fail makes the error of an operation. Expected outcomes are bare codes and cost nothing; what an operator may want to
// read about carries the operation and the cause.
func fail(op string, e unix.Errno) error {
	code := codeOf(e)
	switch code {
	case causeway.OK:
		return nil
	case causeway.ErrIO, causeway.ErrServerFault, causeway.ErrNXIO, causeway.ErrNoDev, causeway.ErrDelay:
		return &causeway.Error{Op: "posix " + op, Code: code, Err: e}
	}
	return code
}
