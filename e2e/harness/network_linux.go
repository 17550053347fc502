package harness

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

// Network is one Ethernet segment, a bridge in a namespace of its own, with room for hosts (10.99.0.11 and up) and guests
// (10.99.0.101 and up). The test itself stands at 10.99.0.1.
type Network struct {
	t      testing.TB
	center *namespace

	mu     sync.Mutex
	hosts  int
	guests int
}

const prefixBits = 24

func hostAddress(last int) netip.Addr { return netip.AddrFrom4([4]byte{10, 99, 0, byte(last)}) }

// NewNetwork makes a network that lives as long as the test. It skips the test where guests cannot run.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	Require(t)
	center, err := newNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(center.close)
	err = center.ip(
		"link add br0 type bridge stp_state 0 forward_delay 0",
		"link set br0 up",
		fmt.Sprintf("addr add %v/%d dev br0", hostAddress(1), prefixBits))
	if err != nil {
		t.Fatal(err)
	}
	return &Network{t: t, center: center}
}

// Test returns the place of the test itself on the network, for programs that need no host of their own.
func (n *Network) Test() *Host { return &Host{t: n.t, ns: n.center, Address: hostAddress(1)} }

// Host adds a host to the network: a namespace with an interface, MAC address and TCP stack of its own.
func (n *Network) Host() *Host {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts++
	ns, err := newNamespace()
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(ns.close)
	host := &Host{t: n.t, ns: ns, Address: hostAddress(10 + n.hosts), center: n.center, port: fmt.Sprint("host", n.hosts)}
	err = n.center.ip(
		fmt.Sprintf("link add host%d type veth peer name eth0 netns %d", n.hosts, ns.tid),
		fmt.Sprintf("link set host%d master br0 up", n.hosts))
	if err == nil {
		err = ns.ip("link set eth0 up", fmt.Sprintf("addr add %v/%d dev eth0", host.Address, prefixBits))
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return host
}

// tap adds a tap device for a guest and returns its name and the guest's address.
func (n *Network) tap() (string, netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.guests++
	name := fmt.Sprintf("guest%d", n.guests)
	err := n.center.ip("tuntap add dev "+name+" mode tap", "link set "+name+" master br0 up")
	return name, hostAddress(100 + n.guests), err
}
