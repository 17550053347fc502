//go:build !linux

package address

import (
	"net/netip"
	"syscall"
)

// Freebind does nothing: on this system an address can only be listened on while the machine has it.
func Freebind(string, string, syscall.RawConn) error { return nil }

// Abandon does nothing: addresses do not leave this system.
func Abandon(...netip.Addr) (int, error) { return 0, nil }
