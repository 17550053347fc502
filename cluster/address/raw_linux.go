package address

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// rawSocket sends whole IP packets.
type rawSocket struct {
	fd4, fd6 int
}

// openRaw opens sockets for both families; a machine without IPv6 has only one. IPPROTO_RAW means that the header is included.
func openRaw() (*rawSocket, error) {
	fd4, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, coded("open a raw socket", err)
	}
	fd6, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil && err != unix.EAFNOSUPPORT {
		return nil, errors.Join(coded("open a raw socket", err), unix.Close(fd4))
	}
	return &rawSocket{fd4: fd4, fd6: fd6}, nil
}

func (s *rawSocket) close() {
	_ = unix.Close(s.fd4)
	if s.fd6 >= 0 {
		_ = unix.Close(s.fd6)
	}
}

// send never waits: a full queue (EAGAIN, ENOBUFS) loses the packet, and the next round sends it again. The port is in the packet.
func (s *rawSocket) send(to netip.AddrPort, packet []byte) error {
	if to.Addr().Is4() {
		return unix.Sendto(s.fd4, packet, unix.MSG_DONTWAIT, &unix.SockaddrInet4{Addr: to.Addr().As4()})
	}
	return unix.Sendto(s.fd6, packet, unix.MSG_DONTWAIT, &unix.SockaddrInet6{Addr: to.Addr().As16()})
}
