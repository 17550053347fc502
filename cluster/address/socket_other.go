//go:build !linux

package address

import "syscall"

// Freebind does nothing: on this system an address can only be listened on while the machine has it.
func Freebind(string, string, syscall.RawConn) error { return nil }

// Silence does nothing on this system.
func Silence(syscall.RawConn) error { return nil }
