package address

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// asker asks the neighbours for an address and hears their answers.
type asker interface {
	ask() error
	hear() (holder string, err error) // EAGAIN when there is nothing more to hear
	handle() int
	close() error
}

// probes is how often is asked, evenly spread over the first two thirds of the time.
const probes = 3

// probe asks until somebody answers or the time is over. It returns the hardware address of who answers.
func probe(ctx context.Context, a asker, wait time.Duration) (string, error) {
	begun := time.Now()
	for i := range probes + 1 {
		if i < probes {
			if err := a.ask(); err != nil {
				return "", err
			}
		}
		until := begun.Add(wait * time.Duration(i+1) / (probes + 1))
		holder, err := listenUntil(ctx, a, until)
		if holder != "" || err != nil {
			return holder, err
		}
	}
	return "", nil
}

// listenUntil polls, so that no goroutine is left behind. It looks at ctx every 20 ms.
func listenUntil(ctx context.Context, a asker, until time.Time) (string, error) {
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		holder, err := a.hear()
		if holder != "" {
			return holder, nil
		}
		if err == nil || errors.Is(err, unix.EINTR) {
			continue
		}
		if !errors.Is(err, unix.EAGAIN) {
			return "", err
		}
		left := time.Until(until)
		if left <= 0 {
			return "", nil
		}
		fds := []unix.PollFd{{Fd: int32(a.handle()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(min(left, 20*time.Millisecond)/time.Millisecond)+1); err != nil && err != unix.EINTR {
			return "", os.NewSyscallError("poll", err)
		}
	}
}

// arpAsker asks by ARP probes.
type arpAsker struct {
	*packets
	index int
	mac   [6]byte
	addr  netip.Addr
	buf   [128]byte
}

func askARP(p place, addr netip.Addr) (asker, error) {
	s, err := openPackets(p.index, unix.ETH_P_ARP)
	if err != nil {
		return nil, err
	}
	return &arpAsker{packets: s, index: p.index, mac: p.mac, addr: addr}, nil
}

func (a *arpAsker) ask() error {
	return a.send(a.index, unix.ETH_P_ARP, broadcastMAC, arpProbe(a.mac, a.addr))
}

func (a *arpAsker) handle() int { return a.fd }

func (a *arpAsker) hear() (string, error) {
	n, _, err := unix.Recvfrom(a.fd, a.buf[:], 0)
	if err != nil {
		return "", err
	}
	if packet, err := parseARP(a.buf[:n]); err == nil && packet.claims(a.addr, a.mac) {
		return net.HardwareAddr(packet.senderMAC[:]).String(), nil
	}
	return "", nil
}

// neighbourAsker asks by Neighbour Solicitations; the answers come to all nodes, and so to a raw socket.
type neighbourAsker struct {
	*packets
	index int
	raw   int
	mac   [6]byte
	addr  netip.Addr
	buf   [512]byte
}

func askNeighbours(p place, addr netip.Addr) (asker, error) {
	s, err := openPackets(p.index, 0)
	if err != nil {
		return nil, err
	}
	raw, err := openAdvertisements(p.name)
	if err != nil {
		return nil, errors.Join(coded("open an ICMPv6 socket", err), s.close())
	}
	return &neighbourAsker{packets: s, index: p.index, raw: raw, mac: p.mac, addr: addr}, nil
}

// openAdvertisements opens a raw socket that receives Neighbour Advertisements of an interface.
func openAdvertisements(ifname string) (int, error) {
	raw, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return -1, err
	}
	filter := unix.ICMPv6Filter{}
	for i := range filter.Data {
		filter.Data[i] = ^uint32(0) // blocks
	}
	filter.Data[advertiseKind/32] &^= 1 << (advertiseKind % 32)
	err = unix.SetsockoptICMPv6Filter(raw, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter)
	if err == nil {
		err = unix.BindToDevice(raw, ifname)
	}
	if err != nil {
		_ = unix.Close(raw)
		return -1, err
	}
	return raw, nil
}

func (a *neighbourAsker) ask() error {
	packet, mac := solicitation(a.addr)
	return a.send(a.index, unix.ETH_P_IPV6, mac, packet)
}

func (a *neighbourAsker) handle() int { return a.raw }

func (a *neighbourAsker) close() error { return errors.Join(a.packets.close(), unix.Close(a.raw)) }

func (a *neighbourAsker) hear() (string, error) {
	n, _, err := unix.Recvfrom(a.raw, a.buf[:], 0)
	if err != nil {
		return "", err
	}
	if target, mac, err := parseAdvertisement(a.buf[:n]); err == nil && target == a.addr && mac != a.mac {
		return net.HardwareAddr(mac[:]).String(), nil
	}
	return "", nil
}
