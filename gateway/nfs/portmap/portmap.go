// Package portmap tells clients at which port a program listens (RFC 1833): by answering portmap version 2 and rpcbind
// versions 3 and 4 itself, or by registration with an rpcbind that owns port 111 already. Its Client asks the same of other
// hosts. It does not forward calls (CALLIT, INDIRECT) and lets nobody register with it.
package portmap

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Program is the program number of portmap and rpcbind; Port is where it listens.
const (
	Program = 100000
	Port    = 111
)

// Service is a version of a program that listens at an address. An unspecified address means all of the host.
type Service struct {
	Prog, Vers uint32
	Network    string // "tcp" or "udp"
	Addr       netip.AddrPort
}

// Transport protocols of portmap version 2.
const (
	protoTCP = 6
	protoUDP = 17
)

// Limits of strings on the wire, in bytes.
const (
	maxNetID = 16
	maxUAddr = 64
	maxOwner = 256
)

// netID is the name of a transport (RFC 5665 §5.1): tcp, udp, tcp6, udp6.
func netID(network string, addr netip.Addr) string {
	if addr.Unmap().Is6() {
		return network + "6"
	}
	return network
}

// proto is the transport's number in portmap version 2, which knows IPv4 only.
func proto(netid string) uint32 {
	switch netid {
	case "tcp":
		return protoTCP
	case "udp":
		return protoUDP
	}
	return 0
}

// UAddr returns the universal address (RFC 5665 §5.2.3) of an address: h1.h2.h3.h4.p1.p2, or x:x::x.p1.p2.
func UAddr(a netip.AddrPort) string {
	return fmt.Sprintf("%s.%d.%d", a.Addr().Unmap().WithZone(""), a.Port()>>8, a.Port()&0xff)
}

// ParseUAddr reads a universal address.
func ParseUAddr(s string) (netip.AddrPort, error) {
	host, low, ok1 := cutLast(s)
	host, high, ok2 := cutLast(host)
	addr, err := netip.ParseAddr(host)
	h, err1 := strconv.ParseUint(high, 10, 8)
	l, err2 := strconv.ParseUint(low, 10, 8)
	if !ok1 || !ok2 || err != nil || err1 != nil || err2 != nil {
		return netip.AddrPort{}, fmt.Errorf("portmap: %.80q is no universal address", s)
	}
	return netip.AddrPortFrom(addr, uint16(h<<8|l)), nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
