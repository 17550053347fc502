package billyfs

import (
	"errors"
	"os"
	"syscall"

	"github.com/go-git/go-billy/v5"

	"causeway"
)

// kinds maps what filesystems answer, in this order.
var kinds = []struct {
	err  error
	code causeway.Code
}{
	{billy.ErrReadOnly, causeway.ErrROFS},
	{billy.ErrNotSupported, causeway.ErrNotSupp},
	{billy.ErrCrossedBoundary, causeway.ErrAccess},
	{syscall.ENOSPC, causeway.ErrNoSpc},
	{syscall.EDQUOT, causeway.ErrDQuot},
	{syscall.EROFS, causeway.ErrROFS},
	{syscall.ENOTEMPTY, causeway.ErrNotEmpty},
	{syscall.ENAMETOOLONG, causeway.ErrNameTooLong},
	{syscall.EFBIG, causeway.ErrFBig},
	{syscall.EISDIR, causeway.ErrIsDir},
	{syscall.ENOTDIR, causeway.ErrNotDir},
	{syscall.ELOOP, causeway.ErrLoop},
	{syscall.EINVAL, causeway.ErrInval},
	{syscall.EXDEV, causeway.ErrXDev},
	{syscall.EPERM, causeway.ErrPerm},
	{syscall.EBUSY, causeway.ErrBusy},
	{os.ErrNotExist, causeway.ErrNoEnt},
	{os.ErrExist, causeway.ErrExist},
	{os.ErrPermission, causeway.ErrAccess},
}

// failed gives an error of the filesystem its code.
func failed(op string, err error) error {
	var code causeway.Code
	var full *causeway.Error
	if errors.As(err, &code) || errors.As(err, &full) {
		return err
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			if k.code == causeway.ErrNoEnt || k.code == causeway.ErrExist {
				return k.code // expected outcomes
			}
			return &causeway.Error{Op: op, Code: k.code, Err: err}
		}
	}
	return &causeway.Error{Op: op, Code: causeway.ErrIO, Err: err}
}
