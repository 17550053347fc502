package rpc

import (
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A reply has to come from the address that was asked; a socket that is bound to no address must be told which one that is, for
// every datagram (IP_PKTINFO, RFC 3542 §6).

// controlSize has room for an in6_pktinfo and its header.
const controlSize = 64

// wantLocal makes the socket tell the address that a datagram was sent to.
func wantLocal(u *net.UDPConn) {
	raw, err := u.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
}

// parseLocal finds the address in what came with a datagram, and makes the control message for its reply.
func parseLocal(control []byte) (local netip.Addr, reply []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return local, nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			info := *(*unix.Inet4Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return netip.AddrFrom4(info.Addr), unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: info.Addr})
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			info := *(*unix.Inet6Pktinfo)(unsafe.Pointer(&m.Data[0]))
			addr := netip.AddrFrom16(info.Addr)
			if addr.IsLinkLocalUnicast() {
				return addr, unix.PktInfo6(&info)
			}
			info.Ifindex = 0
			return addr.Unmap(), unix.PktInfo6(&info)
		}
	}
	return local, nil
}
