//go:build !linux

package rpc

import (
	"net"
	"net/netip"
)

const controlSize = 0

// wantLocal is for systems that tell; here replies come from the address that the system chooses.
func wantLocal(*net.UDPConn) {}

func parseLocal([]byte) (netip.Addr, []byte) { return netip.Addr{}, nil }
