package billy

import (
	"os"
	"syscall"

	"causeway"
)

// errnos are what Go programs know the codes as.
var errnos = map[causeway.Code]syscall.Errno{
	causeway.ErrPerm: syscall.EPERM, causeway.ErrNoEnt: syscall.ENOENT, causeway.ErrIO: syscall.EIO, causeway.ErrNXIO: syscall.ENXIO,
	causeway.ErrAccess: syscall.EACCES, causeway.ErrExist: syscall.EEXIST, causeway.ErrXDev: syscall.EXDEV, causeway.ErrNoDev: syscall.ENODEV,
	causeway.ErrNotDir: syscall.ENOTDIR, causeway.ErrIsDir: syscall.EISDIR, causeway.ErrInval: syscall.EINVAL, causeway.ErrFBig: syscall.EFBIG,
	causeway.ErrNoSpc: syscall.ENOSPC, causeway.ErrROFS: syscall.EROFS, causeway.ErrMLink: syscall.EMLINK,
	causeway.ErrNameTooLong: syscall.ENAMETOOLONG, causeway.ErrNotEmpty: syscall.ENOTEMPTY, causeway.ErrDQuot: syscall.EDQUOT,
	causeway.ErrStale: syscall.ESTALE, causeway.ErrNotSupp: syscall.ENOTSUP, causeway.ErrLoop: syscall.ELOOP, causeway.ErrBusy: syscall.EBUSY,
	causeway.ErrBadName: syscall.EINVAL, causeway.ErrBadType: syscall.EINVAL, causeway.ErrDelay: syscall.EAGAIN,
	causeway.ErrWouldBlock: syscall.EAGAIN, causeway.ErrLocked: syscall.EAGAIN, causeway.ErrDeadlock: syscall.EDEADLK, causeway.ErrNoLocks: syscall.ENOLCK,
}

// both is an error with its code that is also the errno for it: errors.Is finds either, and os.ErrNotExist and its like.
type both struct {
	err   error
	errno syscall.Errno
}

func (b *both) Error() string   { return b.err.Error() }
func (b *both) Unwrap() []error { return []error{b.err, b.errno} }

// failed tells a program what failed, in the way of package os.
func failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if errno, known := errnos[causeway.CodeOf(err)]; known {
		err = &both{err, errno}
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}
