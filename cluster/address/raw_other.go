//go:build !linux

package address

import "net/netip"

type rawSocket struct{}

func openRaw() (*rawSocket, error) { return nil, errLinuxOnly }

func (*rawSocket) close() {}

func (*rawSocket) send(netip.AddrPort, []byte) error { return errLinuxOnly }
