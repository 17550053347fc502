package address

import (
	"encoding/binary"
	"net/netip"
)

const (
	tcp            = 6
	ipv4HeaderSize = 20
	tcpHeaderSize  = 20
	flagACK        = 0x10
	tickleWindow   = 1024
	hopLimit       = 64
)

// tickle is an IP packet with a TCP segment that no live connection can mean: ACK with sequence and acknowledgement number 0,
// from a service address to a client. The client answers an unacceptable segment with an ACK of its own (RFC 9293 §3.10.7.4),
// and to that the new holder of the address, which knows no such connection, answers with a reset that the client believes
// (§3.10.7.1). A client that has reconnected meanwhile is not harmed: its ACK finds the new connection.
//
// Linux answers only one unacceptable segment in 500 ms, of whatever origin, unless it carries data. So the first tickle has a byte.
// It must not reach a new connection, where it might, once in millions of times, be taken for the server's; later ones have none.
func tickle(c Conn, data ...byte) []byte {
	segment := append(make([]byte, tcpHeaderSize, tcpHeaderSize+len(data)), data...)
	be := binary.BigEndian
	be.PutUint16(segment[0:], c.Local.Port())
	be.PutUint16(segment[2:], c.Client.Port())
	segment[12] = tcpHeaderSize / 4 << 4
	segment[13] = flagACK
	be.PutUint16(segment[14:], tickleWindow)
	from, to := c.Local.Addr(), c.Client.Addr()
	if to.Is6() {
		return ipv6Packet(tcp, hopLimit, from, to, segment)
	}
	be.PutUint16(segment[16:], checksum(from, to, tcp, segment))
	return append(ipv4Header(from, to, len(segment)), segment...)
}

// ipv4Header is a header without options (RFC 791 §3.1) for a TCP segment of size bytes that must not be fragmented.
func ipv4Header(from, to netip.Addr, size int) []byte {
	be := binary.BigEndian
	h := make([]byte, ipv4HeaderSize, ipv4HeaderSize+size)
	h[0] = 4<<4 | ipv4HeaderSize/4
	be.PutUint16(h[2:], uint16(ipv4HeaderSize+size))
	h[6] = 0x40 // don't fragment
	h[8], h[9] = hopLimit, tcp
	source, target := from.As4(), to.As4()
	copy(h[12:], source[:])
	copy(h[16:], target[:])
	be.PutUint16(h[10:], ^fold(sum(0, h)))
	return h
}

// checksum is that of an upper-layer message with the pseudo-header of its addresses' family (RFC 9293 §3.1, RFC 8200 §8.1). The
// checksum field in msg must be zero.
func checksum(from, to netip.Addr, protocol byte, msg []byte) uint16 {
	total := sum(0, from.AsSlice())
	total = sum(total, to.AsSlice())
	total += uint32(protocol) + uint32(len(msg))
	return ^fold(sum(total, msg))
}

// sum adds 16-bit words (RFC 1071); msg is less than 64 KiB.
func sum(total uint32, msg []byte) uint32 {
	for ; len(msg) >= 2; msg = msg[2:] {
		total += uint32(binary.BigEndian.Uint16(msg))
	}
	if len(msg) == 1 {
		total += uint32(msg[0]) << 8
	}
	return total
}

func fold(total uint32) uint16 {
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
