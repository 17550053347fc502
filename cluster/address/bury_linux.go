package address

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	destroySocket = 21 // SOCK_DESTROY (linux/sock_diag.h)
	diagIDSize    = 48 // struct inet_diag_sockid
	stateListen   = 10 // TCP_LISTEN
	stateLast     = 11 // TCP_CLOSING
)

// bury ends the connections at addr that this kernel still has from an earlier time with the address, of processes that are dead or not.
// They would keep clients from connecting again, who use the same port as then: what the kernel says about the old connection is not
// what the client expects, and is thrown away. A kernel that cannot do it (CONFIG_INET_DIAG_DESTROY) keeps them.
func (k *kernel) bury(addr netip.Addr) error {
	n, err := dialNetlink(unix.NETLINK_INET_DIAG)
	if err != nil {
		return err
	}
	var errs []error
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} { // a socket of IPv6 may carry IPv4
		errs = append(errs, n.bury(family, addr))
	}
	return errors.Join(append(errs, n.close())...)
}

func (n *netlink) bury(family uint8, addr netip.Addr) error {
	request := make([]byte, diagRequestSize)
	request[0], request[1] = family, unix.IPPROTO_TCP
	native.PutUint32(request[4:], (1<<(stateLast+1)-2)&^(1<<stateListen))
	var ids [][]byte
	err := n.request(diagByFamily, unix.NLM_F_DUMP, request, func() { ids = nil }, func(_ uint16, body []byte) error {
		c, err := parseDiag(body)
		if err == nil && c.Local.Addr() == addr {
			ids = append(ids, append([]byte(nil), body[4:4+diagIDSize]...))
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		copy(request[8:], id)
		native.PutUint32(request[4:], 1<<32-1)
		switch err := n.request(destroySocket, unix.NLM_F_ACK, request, nothing, ignore); err {
		case nil, unix.ENOENT: // it has ended
		case unix.EOPNOTSUPP:
			return nil
		default:
			return err
		}
	}
	return nil
}
