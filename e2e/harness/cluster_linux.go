package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ClusterConfig says how gateways of a cluster are started.
type ClusterConfig struct {
	Flags []string                         // further flags of `causeway node`, for all
	Host  func(i int, host *Host) []string // optional: prepares a gateway's host, and returns further flags for it
	State func(i int) string               // the state directory of a gateway; default one of its own
}

// peerPort is that of --peer.
const peerPort = 9441

// Cluster is gateways on hosts of their own with one shared directory. A gateway is a process whose children outlive it, as on a
// real machine.
type Cluster struct {
	t       testing.TB
	network *Network
	config  ClusterConfig
	Members []*Member
}

// Member is a gateway of a cluster.
type Member struct {
	*daemon
	Name    string
	Host    *Host
	Service netip.Addr // where clients go
	State   string
	control http.Client
	base    []string
}

// NewCluster starts gateways and waits until any one of them may be lost.
func NewCluster(t testing.TB, network *Network, gateways int, config ClusterConfig) *Cluster {
	t.Helper()
	c := &Cluster{t: t, network: network, config: config}
	c.Add("--bootstrap")
	for range gateways - 1 {
		token, peer := c.Token()
		c.Add("--join", peer, "--token", token)
	}
	c.Await("the database's servers vote", func() bool { return c.Voters() >= min(gateways, 3) || gateways < 3 })
	return c
}

func (c *Cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// Add starts one more gateway with these flags.
func (c *Cluster) Add(words ...string) *Member {
	c.t.Helper()
	m := c.Prepare(words...)
	m.Start()
	return m
}

// AddElsewhere is Add for a machine on which another directory lies over dir.
func (c *Cluster) AddElsewhere(other, dir string, words ...string) *Member {
	c.t.Helper()
	m := c.Prepare(words...)
	wrap := []string{"unshare", "-m", "/bin/sh", "-euc", `mount --bind "$0" "$1"; shift; exec "$@"`, other, dir}
	m.argv, m.base = append(append([]string(nil), wrap...), m.argv...), append(append([]string(nil), wrap...), m.base...)
	m.Start()
	return m
}

// Token returns a join token and where to join.
func (c *Cluster) Token() (token, peer string) {
	c.t.Helper()
	var out struct{ Token, Peer string }
	c.must(c.Members[0].Order("/cluster/token", map[string]any{"life": time.Hour}, &out))
	return out.Token, out.Peer
}

// Prepare is Add that does not start it.
func (c *Cluster) Prepare(words ...string) *Member {
	c.t.Helper()
	i := len(c.Members)
	m := &Member{Name: fmt.Sprint("g", i+1), Host: c.network.Host(), Service: hostAddress(201 + i)}
	if c.config.State != nil {
		m.State = c.config.State(i)
	} else {
		dir, err := os.MkdirTemp("", "cw-") // short: sockets lie in it
		c.must(err)
		c.t.Cleanup(func() { os.RemoveAll(dir) })
		m.State = dir
	}
	m.base = append([]string{Build(c.t, "cmd/causeway"), "node", "--name", m.Name, "--service-address", m.Service.String(), "--state-dir", m.State,
		"--peer", netip.AddrPortFrom(m.Host.Address, peerPort).String(), "--port", fmt.Sprint(nfsPort)}, c.config.Flags...)
	if c.config.Host != nil {
		m.base = append(m.base, c.config.Host(i, m.Host)...)
	}
	m.daemon = newDaemon(c.t, m.Host, m.Name, append(append([]string(nil), m.base...), words...)...)
	m.ordinary = true
	c.t.Cleanup(func() {
		if c.t.Failed() {
			m.keep() // with what its goroutines do
		}
		m.KillAll()
	})
	m.control.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(m.State, "control.sock"))
	}}
	m.control.Timeout = 15 * time.Second
	c.Members = append(c.Members, m)
	return m
}

// Start starts the gateway, again after its end, and waits until it is ready.
func (m *Member) Start() {
	m.t.Helper()
	m.start()
	m.await(func() error { _, err := m.ask(http.MethodGet, "/cluster", nil); return err })
	m.argv = m.base
}

// Launch starts the gateway again and does not wait.
func (m *Member) Launch() { m.t.Helper(); m.start() }

// Running reports whether the process has not ended.
func (m *Member) Running() bool {
	if m.process == nil {
		return false
	}
	select {
	case <-m.ended:
		return false
	default:
		return true
	}
}

// Ended is closed when the process has ended.
func (m *Member) Ended() <-chan struct{} { return m.ended }

// children returns the pids of the children of the gateway's process.
func (m *Member) children() (pids []int) {
	if m.process == nil {
		return nil
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", m.process.Process.Pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, word := range strings.Fields(string(text)) {
			pid := 0
			if _, err := fmt.Sscan(word, &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Undertakers returns the pids of the processes that end the gateway's membership when it has died.
func (m *Member) Undertakers() []int {
	return slices.DeleteFunc(m.children(), func(pid int) bool {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return strings.TrimSpace(string(name)) != "undertaker"
	})
}

// KillAll ends the gateway with all that belongs to it, as if the machine lost its power: nobody is left to tell others.
func (m *Member) KillAll() {
	for _, pid := range m.children() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	m.Kill()
}

// ask sends a request to the control socket.
func (m *Member) ask(method, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequest(method, "http://causeway"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	a, err := m.control.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != http.StatusOK {
		err = errors.New(string(bytes.TrimSpace(text)))
	}
	return text, err
}

// Order has the gateway do what the operator's command with that path does.
func (m *Member) Order(path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	text, err := m.ask(http.MethodPost, path, body)
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	return err
}

// Member returns a gateway by name, or nil.
func (c *Cluster) Member(name string) *Member {
	for _, m := range c.Members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// CreateVolume makes a volume of a directory of this machine, which root of all the network may change.
func (c *Cluster) CreateVolume(name, dir string, flags ...string) {
	c.t.Helper()
	c.Members[0].Command(append([]string{"volume", "create", name, "--backend", "posix:" + dir, "--allow", c.network.Subnet() + "=rw,no_root_squash,insecure"}, flags...)...)
}

// Command runs an operator's command at the gateway, and fails the test if it fails.
func (m *Member) Command(words ...string) string {
	m.t.Helper()
	argv := append([]string{Build(m.t, "cmd/causeway")}, words...)
	out, err := exec.Command(argv[0], append(argv[1:], "--state-dir", m.State)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%v at %s: %v\n%s", words, m.Name, err, out)
	}
	return string(out)
}

// Cut makes everything vanish that one gateway sends to another, until Heal. The other direction is not touched.
func (c *Cluster) Cut(from, to *Member) {
	c.t.Helper()
	from.Host.IP(fmt.Sprintf("neigh replace %v lladdr 02:00:00:00:de:ad dev eth0 nud permanent", to.Host.Address))
}

// Heal undoes Cut.
func (c *Cluster) Heal(from, to *Member) {
	c.t.Helper()
	from.Host.IP(fmt.Sprintf("neigh del %v dev eth0", to.Host.Address))
}

// Unplug takes a gateway's machine off the network, and Plug brings it back.
func (c *Cluster) Unplug(m *Member) {
	c.t.Helper()
	c.must(c.network.center.ip("link set " + m.Host.port + " down"))
}

// Plug undoes Unplug.
func (c *Cluster) Plug(m *Member) {
	c.t.Helper()
	c.must(c.network.center.ip("link set " + m.Host.port + " up"))
}
