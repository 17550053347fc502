package peer

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// Network is an Ethernet segment: a bridge in a namespace, where the clients are, and hosts in namespaces of their own.
type Network struct {
	Center *Namespace
	hosts  []*Namespace
}

// NewNetwork makes a segment without hosts. The clients have the address 10.98.0.1.
func NewNetwork() (*Network, error) {
	center, err := NewNamespace()
	if err != nil {
		return nil, err
	}
	n := &Network{Center: center}
	if err := center.run("ip link add br0 type bridge stp_state 0 forward_delay 0", "ip link set br0 up", "ip addr add 10.98.0.1/24 dev br0"); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// hostAddress is that of a host; its service address is 100 above.
func hostAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 98, 0, byte(11 + i)}) }

func serviceAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 98, 0, byte(111 + i)}) }

// Add adds a host. rate bounds its link in each direction, in Mbit/s; 0: not.
func (n *Network) Add(rate int) (*Namespace, error) {
	host, err := NewNamespace()
	if err != nil {
		return nil, err
	}
	i := len(n.hosts)
	n.hosts = append(n.hosts, host)
	port := fmt.Sprint("host", i)
	err = errors.Join(
		n.Center.run(
			fmt.Sprintf("ip link add %s type veth peer name eth0 netns /proc/%d/fd/%d", port, os.Getpid(), host.file.Fd()),
			fmt.Sprintf("ip link set %s master br0 up", port)),
		host.run("ip link set eth0 up", fmt.Sprintf("ip addr add %v/24 dev eth0", hostAddress(i))))
	if err == nil && rate > 0 {
		limit := fmt.Sprintf("root tbf rate %dmbit burst 256kb latency 100ms", rate)
		err = errors.Join(host.run("tc qdisc add dev eth0 "+limit), n.Center.run("tc qdisc add dev "+port+" "+limit))
	}
	return host, err
}

// Close lets the segment go.
func (n *Network) Close() {
	for _, host := range n.hosts {
		host.Close()
	}
	n.Center.Close()
}

// run runs commands inside the namespace, one after the other.
func (n *Namespace) run(commands ...string) error {
	for _, command := range commands {
		words := strings.Fields(command)
		var text strings.Builder
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdout, cmd.Stderr = &text, &text
		if err := errors.Join(n.Do(cmd.Start), cmd.Wait()); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, text.String())
		}
	}
	return nil
}
