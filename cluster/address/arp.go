package address

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// ARP over Ethernet for IPv4 (RFC 826): 28 bytes, without the Ethernet header.
const (
	arpSize    = 28
	arpRequest = 1
	arpReply   = 2
)

var broadcastMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// arp is an ARP packet.
type arp struct {
	op                   uint16
	senderMAC, targetMAC [6]byte
	sender, target       netip.Addr
}

func (a arp) encode() []byte {
	be := binary.BigEndian
	p := make([]byte, 0, arpSize)
	p = be.AppendUint16(p, 1)      // Ethernet
	p = be.AppendUint16(p, 0x0800) // IPv4
	p = append(p, 6, 4)
	p = be.AppendUint16(p, a.op)
	sender, target := a.sender.As4(), a.target.As4()
	p = append(p, a.senderMAC[:]...)
	p = append(p, sender[:]...)
	p = append(p, a.targetMAC[:]...)
	return append(p, target[:]...)
}

var errNotARP = errors.New("not an ARP packet for IPv4 over Ethernet")

// parseARP reads a packet; Ethernet may have padded it.
func parseARP(p []byte) (arp, error) {
	if len(p) < arpSize || binary.BigEndian.Uint32(p) != 0x0001_0800 || p[4] != 6 || p[5] != 4 {
		return arp{}, errNotARP
	}
	return arp{
		op: binary.BigEndian.Uint16(p[6:]), senderMAC: [6]byte(p[8:14]), sender: netip.AddrFrom4([4]byte(p[14:18])),
		targetMAC: [6]byte(p[18:24]), target: netip.AddrFrom4([4]byte(p[24:28])),
	}, nil
}

// announcement is a gratuitous ARP: addr is at mac (RFC 5227 §1.1, §3).
func announcement(op uint16, mac [6]byte, addr netip.Addr) []byte {
	a := arp{op: op, senderMAC: mac, sender: addr, target: addr}
	if op == arpReply {
		a.targetMAC = mac
	}
	return a.encode()
}

// arpProbe asks who has addr without claiming any address (RFC 5227 §1.1).
func arpProbe(mac [6]byte, addr netip.Addr) []byte {
	return arp{op: arpRequest, senderMAC: mac, sender: netip.IPv4Unspecified(), target: addr}.encode()
}

// claims reports whether a packet that is not from mac says that its sender has addr, or is about to take it (RFC 5227 §2.1.1).
func (a arp) claims(addr netip.Addr, mac [6]byte) bool {
	if a.senderMAC == mac {
		return false
	}
	probing := a.op == arpRequest && a.sender.IsUnspecified() && a.target == addr
	return a.sender == addr || probing
}
