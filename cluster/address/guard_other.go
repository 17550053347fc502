//go:build !linux

package address

import "net/netip"

// Guard does nothing: addresses are only listened on.
type Guard struct{}

// NewGuard says so.
func NewGuard() (*Guard, error) { return nil, errLinuxOnly }

func (*Guard) add(int, netip.Addr) error { return nil }

func (*Guard) drop(netip.Addr) {}
