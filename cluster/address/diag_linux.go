package address

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// The kernel's socket diagnosis (linux/inet_diag.h).
const (
	diagByFamily    = 20 // SOCK_DIAG_BY_FAMILY
	diagRequestSize = 56 // struct inet_diag_req_v2
	diagMessageSize = 72 // struct inet_diag_msg
	stateOpen       = 1  // TCP_ESTABLISHED
	stateHalf       = 8  // TCP_CLOSE_WAIT: the client has closed its half
)

// Conns asks the kernel for the TCP connections to the held addresses at the given ports (all ports if none is given), of
// whatever process. It fails with ErrTooMany beyond MaxConns. On systems other than Linux there are none.
func (m *Manager) Conns(ports ...uint16) ([]Conn, error) {
	held := m.Held()
	if len(held) == 0 {
		return nil, nil
	}
	n, err := dialNetlink(unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, err
	}
	err = nil
	var conns []Conn
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, oneErr := n.conns(family, ports, held)
		conns, err = append(conns, found...), errors.Join(err, oneErr)
	}
	return normal(conns), errors.Join(err, n.close())
}

// conns lists the connections of a family; a socket of IPv6 may carry IPv4.
func (n *netlink) conns(family uint8, ports []uint16, held map[netip.Addr]State) ([]Conn, error) {
	var conns []Conn
	request := make([]byte, diagRequestSize)
	request[0], request[1] = family, unix.IPPROTO_TCP
	native.PutUint32(request[4:], 1<<stateOpen|1<<stateHalf)
	if len(ports) == 1 {
		binary.BigEndian.PutUint16(request[8:], ports[0])
	}
	err := n.request(diagByFamily, unix.NLM_F_DUMP, request, func() { conns = nil }, func(kind uint16, body []byte) error {
		c, err := parseDiag(body)
		if err != nil || held[c.Local.Addr()] == Free || !wanted(ports, c.Local.Port()) {
			return err
		}
		if len(conns) == MaxConns {
			return ErrTooMany
		}
		conns = append(conns, c)
		return nil
	})
	return conns, err
}

func wanted(ports []uint16, port uint16) bool {
	if slices.Contains(ports, port) {
		return true
	}
	return len(ports) == 0
}

// parseDiag reads an inet_diag_msg.
func parseDiag(body []byte) (Conn, error) {
	if len(body) < diagMessageSize {
		return Conn{}, errShort
	}
	size := 4
	if body[0] == unix.AF_INET6 {
		size = 16
	}
	end := func(port, addr int) netip.AddrPort {
		a, _ := netip.AddrFromSlice(body[addr : addr+size])
		return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(body[port:]))
	}
	return Conn{Local: end(4, 8), Client: end(6, 24)}, nil
}
