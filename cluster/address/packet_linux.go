package address

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// packets is a packet socket on one interface: the kernel makes the Ethernet header.
type packets struct {
	fd    int
	index int
}

// openPackets opens a socket that receives the packets of one EtherType, or none if it is 0.
func openPackets(index int, ethertype uint16) (*packets, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, coded("open a packet socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index, Protocol: bigEndian(ethertype)}); err != nil {
		_ = unix.Close(fd)
		return nil, coded("bind a packet socket", err)
	}
	return &packets{fd: fd, index: index}, nil
}

func (s *packets) close() error { return unix.Close(s.fd) }

func (s *packets) send(ethertype uint16, to [6]byte, packet []byte) error {
	at := &unix.SockaddrLinklayer{Ifindex: s.index, Protocol: bigEndian(ethertype), Halen: uint8(len(to))}
	copy(at.Addr[:], to[:])
	return os.NewSyscallError("send(AF_PACKET)", unix.Sendto(s.fd, packet, 0, at))
}

// bigEndian is htons.
func bigEndian(v uint16) uint16 { return native.Uint16(binary.BigEndian.AppendUint16(nil, v)) }
