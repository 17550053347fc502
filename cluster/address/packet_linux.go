package address

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// packets is a packet socket: the kernel makes the Ethernet header.
type packets struct{ fd int }

// openPackets opens a socket that receives the packets of one EtherType on one interface, or none if it is 0.
func openPackets(index int, ethertype uint16) (*packets, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, coded("open a packet socket", err)
	}
	if ethertype == 0 {
		return &packets{fd: fd}, nil
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index, Protocol: bigEndian(ethertype)}); err != nil {
		_ = unix.Close(fd)
		return nil, coded("bind a packet socket", err)
	}
	return &packets{fd: fd}, nil
}

func (s *packets) close() error { return unix.Close(s.fd) }

func (s *packets) send(index int, ethertype uint16, to [6]byte, packet []byte) error {
	at := &unix.SockaddrLinklayer{Ifindex: index, Protocol: bigEndian(ethertype), Halen: uint8(len(to))}
	copy(at.Addr[:], to[:])
	return os.NewSyscallError("send(AF_PACKET)", unix.Sendto(s.fd, packet, 0, at))
}

// bigEndian is htons.
func bigEndian(v uint16) uint16 { return native.Uint16(binary.BigEndian.AppendUint16(nil, v)) }
