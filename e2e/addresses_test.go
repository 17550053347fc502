//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"causeway/e2e/harness"
)

// TestAddressesOfEveryKind: all addresses of a gateway move when it dies, of both families, with port 111, and none to a gateway outside of
// the strict domain of what they serve.
func TestAddressesOfEveryKind(t *testing.T) {
	t.Parallel()
	network := harness.NewNetwork(t)
	network.Test().IP("addr add fd99::1/64 dev br0 nodad")
	more := []string{"10.99.0.221", "fd99::201", "fd99::221"}
	nodes := harness.NewCluster(t, network, 3, harness.ClusterConfig{Host: func(i int, host *harness.Host) []string {
		host.IP(fmt.Sprintf("addr add fd99::%d/64 dev eth0 nodad", 11+i))
		if i > 0 {
			return nil
		}
		var flags []string
		for _, a := range more {
			flags = append(flags, "--service-address", a)
		}
		return flags
	}}).Members
	addresses := []netip.Addr{nodes[0].Service}
	for _, a := range more {
		addresses = append(addresses, netip.MustParseAddr(a))
	}
	for _, n := range nodes[:2] {
		nodes[0].Command("node", "set", n.Name, "--domains", "east")
	}
	nodes[0].Command("volume", "create", volume, "--backend", "posix:"+t.TempDir(), "--domain", "east", "--domain-policy", "strict")
	at := func(n *harness.Member) {
		t.Helper()
		for _, a := range addresses {
			if err := harness.Poll(patience, func() error { return answeredBy(t, network, a, n, nodes) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	at(nodes[0])
	nodes[0].Kill()
	at(nodes[1])
	nodes[0].Start()
	at(nodes[0])
}

// answeredBy fails unless an address is at one node alone, which answers there.
func answeredBy(t *testing.T, network *harness.Network, a netip.Addr, at *harness.Member, nodes []*harness.Member) error {
	for _, n := range nodes {
		if has := n.Host.Has(a); has != (n == at) {
			return fmt.Errorf("%s has %v: %v", n.Name, a, has)
		}
	}
	for _, port := range []uint16{2049, 111} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		c, err := network.Test().Dial(ctx, "tcp", netip.AddrPortFrom(a, port).String())
		cancel()
		if err != nil {
			return err
		}
		c.Close()
	}
	return nil
}
