package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Node is a gateway of a cluster (`causeway node`) on a host of its own.
type Node struct {
	*daemon
	Host    *Host
	Name    string
	Service netip.Addr // belongs to it; others have it while it does not run
	State   string

	network *Network
	begun   int // how many lines of its log are of earlier lives
}

// peerPort is that of --peer.
const peerPort = 9441

// StartCluster starts n gateways on hosts of their own and waits until each is ready. They end with the test.
func StartCluster(t testing.TB, network *Network, n int, flags ...string) []*Node {
	t.Helper()
	var nodes []*Node
	join := []string{"--bootstrap"}
	for i := range n {
		node := network.newNode(fmt.Sprint("g", i+1), hostAddress(200+i+1), append(flags, join...))
		node.Start()
		nodes = append(nodes, node)
		if i == 0 {
			var token struct{ Token, Peer string }
			if err := json.Unmarshal([]byte(node.Causeway("token", "--json")), &token); err != nil {
				t.Fatal(err)
			}
			join = []string{"--join", token.Peer, "--token", token.Token}
		}
	}
	return nodes
}

func (n *Network) newNode(name string, service netip.Addr, flags []string) *Node {
	n.t.Helper()
	node := &Node{Host: n.Host(), Name: name, Service: service, State: n.t.TempDir(), network: n}
	argv := []string{Build(n.t, "cmd/causeway"), "node", "--name", name, "--service-address", service.String(),
		"--peer", netip.AddrPortFrom(node.Host.Address, peerPort).String(), "--state-dir", node.State}
	node.daemon = newDaemon(n.t, node.Host, name, append(argv, flags...)...)
	node.ordinary = true
	return node
}

// Start starts the gateway, or starts it again, and waits until it is ready.
func (n *Node) Start() {
	n.t.Helper()
	n.begun = strings.Count(n.log0(), "\n")
	n.start()
	n.await(func() error {
		for i, line := range strings.Split(n.Log(), "\n") {
			if i >= n.begun && line == "ready" {
				return nil
			}
		}
		return fmt.Errorf("%s does not say that it is ready", n.Name)
	})
}

// log0 is the log, empty before the first start.
func (n *Node) log0() string {
	if n.process == nil && n.ended == nil {
		return ""
	}
	return n.Log()
}

// Causeway runs an operator's command at the gateway, fails the test unless it succeeds, and returns its output.
func (n *Node) Causeway(words ...string) string {
	n.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(n.t.Context(), Build(n.t, "cmd/causeway"), append(words, "--state-dir", n.State)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		n.t.Fatalf("causeway %s at %s: %v\n%s", strings.Join(words, " "), n.Name, err, stderr.String())
	}
	return stdout.String()
}

// Said returns when the gateway logged lines that contain all of the words, in order.
func (n *Node) Said(words ...string) []time.Time {
	var all []time.Time
	for line := range strings.Lines(n.Log()) {
		stamp, rest, ok := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if !ok || err != nil {
			continue
		}
		for _, w := range words {
			ok = ok && strings.Contains(rest, w)
		}
		if ok {
			all = append(all, at)
		}
	}
	return all
}

// Unplug cuts the gateway's host from the network, as if its machine had no power.
func (n *Node) Unplug() {
	n.t.Helper()
	if err := n.network.center.ip("link set " + n.Host.port + " down"); err != nil {
		n.t.Fatal(err)
	}
}

// Plug ends that.
func (n *Node) Plug() {
	n.t.Helper()
	if err := n.network.center.ip("link set " + n.Host.port + " up"); err != nil {
		n.t.Fatal(err)
	}
}

// Has reports whether an address is one of the gateway's host.
func (n *Node) Has(addr netip.Addr) bool {
	n.t.Helper()
	return strings.Contains(n.Host.MustRun("ip", "-o", "addr", "show"), " "+addr.String()+"/")
}
