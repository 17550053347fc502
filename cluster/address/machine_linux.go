package address

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"causeway"

	"golang.org/x/sys/unix"
)

// kernel is this machine's network, by netlink and packet sockets.
type kernel struct {
	routes  *netlink
	monitor *monitor

	mu     sync.Mutex
	sender *packets // opened when first needed; to close one takes the kernel some 10 ms
}

func newMachine(changed func(netip.Addr)) (machine, error) {
	routes, err := dialNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	monitor, err := watch(changed)
	if err != nil {
		return nil, errors.Join(err, routes.close())
	}
	return &kernel{routes: routes, monitor: monitor}, nil
}

func (k *kernel) close() error {
	err := errors.Join(k.monitor.close(), k.routes.close())
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sender != nil {
		err = errors.Join(err, k.sender.close())
	}
	return err
}

// packets returns the socket that sends packets to the neighbours.
func (k *kernel) packets() (*packets, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sender == nil {
		sender, err := openPackets(0, 0)
		if err != nil {
			return nil, err
		}
		k.sender = sender
	}
	return k.sender, nil
}

// survey finds addr, or else the interface where it should be: the one called ifname, or else the one with the smallest network
// that contains it.
func (k *kernel) survey(addr netip.Addr, ifname string, lifetime time.Duration) (place, error) {
	links, err := k.routes.links()
	if err != nil {
		return place{}, fmt.Errorf("list the interfaces: %w", err)
	}
	addrs, err := k.routes.addresses(family(addr))
	if err != nil {
		return place{}, fmt.Errorf("list the addresses: %w", err)
	}
	return choose(addr, ifname, lifetime, links, addrs)
}

// choose is survey without the kernel.
func choose(addr netip.Addr, ifname string, lifetime time.Duration, links []link, addrs []ifaddr) (place, error) {
	for _, a := range addrs {
		if a.prefix.Addr() != addr {
			continue
		}
		for _, l := range links {
			if l.index == a.index {
				ours := a.prefix.IsSingleIP() && a.life >= 0 && a.life <= lifetime
				return place{index: l.index, name: l.name, mac: l.mac, up: l.up, present: true, ours: ours}, nil
			}
		}
	}
	best, bits := place{}, -1
	for _, l := range links {
		found := -1
		for _, a := range addrs {
			if a.index == l.index && !a.prefix.IsSingleIP() && a.prefix.Contains(addr) {
				found = max(found, a.prefix.Bits())
			}
		}
		if l.name == ifname {
			found = addr.BitLen()
		}
		if found > bits && (ifname == "" || l.name == ifname) && l.ethernet {
			best, bits = place{index: l.index, name: l.name, mac: l.mac, up: l.up}, found
		}
	}
	if bits >= 0 {
		return best, nil
	}
	what := errors.New("no Ethernet interface has a network that contains it")
	if ifname != "" {
		what = fmt.Errorf("there is no Ethernet interface %s", ifname)
	}
	return place{}, &causeway.Error{Op: "choose an interface", Code: causeway.ErrNoDev, Err: what}
}

func (k *kernel) put(p place, addr netip.Addr, lifetime time.Duration, create bool) error {
	err := k.routes.putAddress(p.index, addr, lifetime, create)
	if err == nil && addr.Is6() && !p.present && p.up {
		err = k.delivered(addr)
	}
	return coded("add to "+p.name, err)
}

// settling bounds the wait for the kernel to deliver what it gets for a new IPv6 address: it answers before its own worker has
// made the route, and a client who is told too early is lost for a second.
const settling = 200 * time.Millisecond

func (k *kernel) delivered(addr netip.Addr) error {
	for end := time.Now().Add(settling); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		if local, err := k.routes.isLocal(addr); local || err != nil {
			return err
		}
	}
	return nil
}

func (k *kernel) remove(p place, addr netip.Addr) error {
	err := k.routes.removeAddress(p.index, addr)
	if err == unix.EADDRNOTAVAIL || err == unix.ENODEV {
		return nil
	}
	return coded("remove from "+p.name, err)
}

// announce tells the neighbours.
func (k *kernel) announce(p place, addr netip.Addr) error {
	s, err := k.packets()
	if err != nil {
		return err
	}
	if addr.Is6() {
		return s.send(p.index, unix.ETH_P_IPV6, allNodesMAC, advertisement(p.mac, addr))
	}
	// Some neighbours heed only requests, some only replies (RFC 5227 §3).
	return errors.Join(s.send(p.index, unix.ETH_P_ARP, broadcastMAC, announcement(arpRequest, p.mac, addr)),
		s.send(p.index, unix.ETH_P_ARP, broadcastMAC, announcement(arpReply, p.mac, addr)))
}

func (k *kernel) probe(ctx context.Context, p place, addr netip.Addr, wait time.Duration) (string, error) {
	if !p.up {
		return "", &causeway.Error{Op: "probe", Code: causeway.ErrNoDev, Err: fmt.Errorf("interface %s is down", p.name)}
	}
	var ask asker
	var err error
	if addr.Is4() {
		ask, err = askARP(p, addr)
	} else {
		ask, err = askNeighbours(p, addr)
	}
	if err != nil {
		return "", err
	}
	defer ask.close()
	return probe(ctx, ask, wait)
}

// coded gives an errno its code.
func coded(op string, err error) error {
	switch err {
	case nil:
		return nil
	case unix.EPERM, unix.EACCES:
		return &causeway.Error{Op: op, Code: causeway.ErrPerm, Err: fmt.Errorf("%w (CAP_NET_ADMIN is needed, and IPv6 enabled for IPv6)", err)}
	case unix.ENODEV:
		return &causeway.Error{Op: op, Code: causeway.ErrNoDev, Err: err}
	case unix.EEXIST:
		return &causeway.Error{Op: op, Code: causeway.ErrExist, Err: err}
	}
	return &causeway.Error{Op: op, Code: causeway.ErrIO, Err: err}
}
