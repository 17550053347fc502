package client

import (
	"io/fs"

	"causeway"
)

// both is an error with its code that is also package io/fs's error for it: errors.Is finds either.
type both struct{ err, std error }

func (b *both) Error() string   { return b.err.Error() }
func (b *both) Unwrap() []error { return []error{b.err, b.std} }

// failed tells a program what failed, in the way of package os.
func failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	switch causeway.CodeOf(err) {
	case causeway.ErrNoEnt:
		err = &both{err, fs.ErrNotExist}
	case causeway.ErrExist, causeway.ErrNotEmpty:
		err = &both{err, fs.ErrExist}
	case causeway.ErrAccess, causeway.ErrPerm, causeway.ErrROFS:
		err = &both{err, fs.ErrPermission}
	case causeway.ErrInval, causeway.ErrBadName:
		err = &both{err, fs.ErrInvalid}
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
