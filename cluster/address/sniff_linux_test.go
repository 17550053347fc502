package address

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type netTCPAddr = net.TCPAddr

const flagRST = 0x04

// segmentSeen is a TCP segment of a connection.
type segmentSeen struct {
	toClient bool
	flags    byte
	payload  int
}

// sniffer sees all packets of a host's interface.
type sniffer struct {
	h  *host
	fd int
}

func (h *host) sniff() *sniffer {
	h.t.Helper()
	s := &sniffer{h: h}
	var err error
	h.do(func() {
		s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(bigEndian(unix.ETH_P_ALL)))
		if err == nil {
			err = unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(bound / time.Second)})
		}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = unix.Close(s.fd) })
	return s
}

// until collects the segments of a connection until enough.
func (s *sniffer) until(c Conn, enough func([]segmentSeen) bool) []segmentSeen {
	s.h.t.Helper()
	var seen []segmentSeen
	buf := make([]byte, 2048)
	for len(seen) == 0 || !enough(seen) {
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			s.h.t.Fatal("the wire:", err, seen)
		}
		if from, to, seg, ok := parseSegment(buf[:n]); ok && (from == c.Local && to == c.Client || from == c.Client && to == c.Local) {
			seg.toClient = to == c.Client
			seen = append(seen, seg)
		}
	}
	return seen
}

func parseSegment(p []byte) (from, to netip.AddrPort, seg segmentSeen, ok bool) {
	var source, target netip.Addr
	switch {
	case len(p) >= 40 && p[0] == 0x45 && p[9] == tcp:
		source, target = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
		p = p[ipv4HeaderSize:binary.BigEndian.Uint16(p[2:])]
	case len(p) >= 60 && p[0]>>4 == 6 && p[6] == tcp:
		source, target = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
		p = p[ipv6HeaderSize : ipv6HeaderSize+int(binary.BigEndian.Uint16(p[4:]))]
	default:
		return
	}
	seg = segmentSeen{flags: p[13], payload: len(p) - int(p[12]>>4)*4}
	return netip.AddrPortFrom(source, binary.BigEndian.Uint16(p)), netip.AddrPortFrom(target, binary.BigEndian.Uint16(p[2:])), seg, true
}

// tcpState asks the kernel for the state of a connection.
func tcpState(t *testing.T, c *net.TCPConn) uint8 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if controlErr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) }); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	return info.State
}
