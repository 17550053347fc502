//go:build !linux

package aware

import (
	"errors"
	"net"

	"causeway"
)

// errNoLending is what a machine answers that cannot pass descriptors.
var errNoLending = &causeway.Error{Op: "lend", Code: causeway.ErrNotSupp, Err: errors.New("descriptors are passed on Linux only")}

func listenLocal(string) (*net.UnixListener, error) { return nil, errNoLending }

// Serve answers nobody: descriptors are passed on Linux only.
func (l *Lender) Serve(*net.UnixListener) error { return errNoLending }
