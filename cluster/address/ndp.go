package address

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Neighbour Discovery (RFC 4861) with the one option that matters here.
const (
	icmpv6          = 58
	solicitKind     = 135
	advertiseKind   = 136
	optionSourceMAC = 1
	optionTargetMAC = 2
	ipv6HeaderSize  = 40
	neighbourSize   = 24 // of the ICMPv6 message without options

	flagSolicited = 0x40
	flagOverride  = 0x20
)

var (
	allNodes    = netip.MustParseAddr("ff02::1")
	allNodesMAC = [6]byte{0x33, 0x33, 0, 0, 0, 1}
)

// advertisement is an unsolicited Neighbour Advertisement to all nodes: addr is at mac, whatever was known (RFC 4861 §7.2.6).
func advertisement(mac [6]byte, addr netip.Addr) []byte {
	msg := neighbourMessage(advertiseKind, flagOverride, addr)
	msg = append(msg, optionTargetMAC, 1)
	return ipv6Packet(icmpv6, 255, addr, allNodes, append(msg, mac[:]...))
}

// solicitation asks who has addr as duplicate detection does: from no address, so that holders answer to all nodes (RFC 4862 §5.4.2).
func solicitation(addr netip.Addr) (packet []byte, mac [6]byte) {
	b := addr.As16()
	group := [16]byte{0xff, 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]}
	mac = [6]byte{0x33, 0x33, 0xff, b[13], b[14], b[15]}
	return ipv6Packet(icmpv6, 255, netip.IPv6Unspecified(), netip.AddrFrom16(group), neighbourMessage(solicitKind, 0, addr)), mac
}

func neighbourMessage(kind, flags byte, target netip.Addr) []byte {
	msg := []byte{kind, 0, 0, 0, flags, 0, 0, 0}
	b := target.As16()
	return append(msg, b[:]...)
}

// ipv6Packet puts the header before an upper-layer message and its checksum into the message.
func ipv6Packet(protocol, hops byte, from, to netip.Addr, msg []byte) []byte {
	at := 2 // ICMPv6
	if protocol == tcp {
		at = 16
	}
	binary.BigEndian.PutUint16(msg[at:], 0)
	binary.BigEndian.PutUint16(msg[at:], checksum(from, to, protocol, msg))
	p := make([]byte, 0, ipv6HeaderSize+len(msg))
	p = append(p, 6<<4, 0, 0, 0)
	p = binary.BigEndian.AppendUint16(p, uint16(len(msg)))
	p = append(p, protocol, hops)
	p = append(p, from.AsSlice()...)
	p = append(p, to.AsSlice()...)
	return append(p, msg...)
}

var errNotAdvertisement = errors.New("not a Neighbour Advertisement")

// parseAdvertisement reads an ICMPv6 message, without the IPv6 header, and returns whose address is where. The kernel has
// verified the checksum.
func parseAdvertisement(msg []byte) (target netip.Addr, mac [6]byte, err error) {
	if len(msg) < neighbourSize || msg[0] != advertiseKind || msg[1] != 0 {
		return netip.Addr{}, mac, errNotAdvertisement
	}
	target = netip.AddrFrom16([16]byte(msg[8:24]))
	for options := msg[neighbourSize:]; len(options) >= 8; {
		size := int(options[1]) * 8
		if size == 0 || size > len(options) { // RFC 4861 §4.6: discard
			return netip.Addr{}, mac, errNotAdvertisement
		}
		if options[0] == optionTargetMAC && size == 8 {
			mac = [6]byte(options[2:8])
		}
		options = options[size:]
	}
	return target, mac, nil
}
