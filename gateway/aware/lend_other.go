//go:build !linux

package aware

import "net"

func listenLocal(string) (*net.UnixListener, error) { return nil, errNoLending }

// Serve answers nobody: descriptors are passed on Linux only.
func (l *Lender) Serve(u *net.UnixListener) error { return errNoLending }
