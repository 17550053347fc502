package harness

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
)

// GatewayConfig says how a gateway is started.
type GatewayConfig struct {
	Volumes map[string]string // directory by volume name
	Portmap bool              // answer portmap on port 111
	Allow   []string          // rules of --allow; default: the whole network, rw, no_root_squash
	Flags   []string          // further flags of `causeway serve`
	State   string            // state directory; default one of its own that survives restarts
}

// Gateway is a running `causeway serve` on a host.
type Gateway struct {
	*daemon
	Address netip.Addr
	Port    int // of NFS, MOUNT, NLM and NSM
	State   string
}

const (
	nfsPort      = 2049
	adminAddress = "127.0.0.1:9440"
)

// Subnet is the network's, in the notation of --allow.
func (n *Network) Subnet() string {
	return netip.PrefixFrom(hostAddress(0), prefixBits).String()
}

// StartGateway builds causeway, starts it on host and waits until it is ready. It ends with the test.
func StartGateway(t testing.TB, host *Host, config GatewayConfig) *Gateway {
	t.Helper()
	if config.State == "" {
		config.State = t.TempDir()
	}
	if config.Allow == nil {
		config.Allow = []string{"10.99.0.0/24=rw,no_root_squash,insecure"}
	}
	g := &Gateway{Address: host.Address, Port: nfsPort, State: config.State}
	argv := []string{Build(t, "cmd/causeway"), "serve",
		"--listen", fmt.Sprintf("%v:%d", g.Address, g.Port), "--admin", adminAddress, "--state-dir", config.State}
	for name, dir := range config.Volumes {
		argv = append(argv, name+"="+dir)
	}
	for _, rule := range config.Allow {
		argv = append(argv, "--allow", rule)
	}
	if config.Portmap {
		argv = append(argv, "--portmap")
	}
	g.daemon = newDaemon(t, host, "causeway", append(argv, config.Flags...)...)
	g.Start()
	return g
}

// Start starts the gateway again after Kill or Stop, with its old state, and waits until it is ready.
func (g *Gateway) Start() {
	g.t.Helper()
	g.start()
	g.await(func() error { _, err := g.Admin("/readyz"); return err })
}

// Admin returns what the gateway's admin address answers at a path.
func (g *Gateway) Admin(path string) (string, error) {
	client := g.host.HTTP()
	client.Timeout = startTime
	answer, err := client.Get("http://" + adminAddress + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, text)
	}
	return string(text), err
}

// Mount returns how to mount a volume with NFSv3.
func (g *Gateway) Mount(volume string) Mount {
	return Mount{Server: g.Address.String(), Export: "/" + volume, Version: "3", Port: g.Port}
}
