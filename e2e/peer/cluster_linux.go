package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Cluster is gateways of one cluster, each on a host of its own of one network.
type Cluster struct {
	ClusterConfig
	network  *Network
	gateways []*gateway
}

// ClusterConfig says what gateways there are.
type ClusterConfig struct {
	Program  string // the causeway binary
	Work     string // the gateways' own files; short, since sockets lie in it
	Gateways int
	Rate     int      // bounds the link of each in each direction, in Mbit/s; 0: not
	Flags    []string // further ones of `causeway node`
	Blind    string   // a directory that the last gateway does not see; empty: it sees all
}

// gateway is one of them.
type gateway struct {
	*Process
	state   string
	service netip.Addr
}

// StartCluster starts gateways and waits until they are a cluster.
func StartCluster(ctx context.Context, cfg ClusterConfig) (*Cluster, error) {
	network, err := NewNetwork()
	if err != nil {
		return nil, err
	}
	c := &Cluster{ClusterConfig: cfg, network: network}
	for range cfg.Gateways {
		if err := c.add(ctx); err != nil {
			err = fmt.Errorf("gateway %d: %w; its last words: %s", len(c.gateways), err, c.words())
			c.Stop()
			return nil, err
		}
	}
	return c, nil
}

func (c *Cluster) words() string {
	if len(c.gateways) == 0 {
		return ""
	}
	return c.gateways[len(c.gateways)-1].log()
}

// add starts one more gateway.
func (c *Cluster) add(ctx context.Context) error {
	i := len(c.gateways)
	host, err := c.network.Add(c.Rate)
	if err != nil {
		return err
	}
	g := &gateway{state: filepath.Join(c.Work, Name(i)), service: serviceAddress(i)}
	if err := os.MkdirAll(g.state, 0o700); err != nil {
		return err
	}
	words := []string{c.Program, "node", "--name", Name(i), "--service-address", g.service.String(), "--peer", netip.AddrPortFrom(hostAddress(i), 9441).String(),
		"--state-dir", g.state, "--portmap=false"}
	words = append(words, c.Flags...)
	if i == 0 {
		words = append(words, "--bootstrap")
	} else {
		var out struct{ Token, Peer string }
		if err := c.order(0, "/cluster/token", map[string]any{"life": time.Hour}, &out); err != nil {
			return err
		}
		words = append(words, "--join", out.Peer, "--token", out.Token)
	}
	if c.Blind != "" && i == c.Gateways-1 {
		words = append([]string{"unshare", "-m", "/bin/sh", "-euc", `mount -t tmpfs none "$0"; exec "$@"`, c.Blind}, words...)
	}
	if g.Process, err = start(host, g.state+".log", exec.Command(words[0], words[1:]...)); err != nil {
		return err
	}
	c.gateways = append(c.gateways, g)
	return c.await(ctx, func() error { _, err := c.status(i); return err })
}

// Name is that of a gateway, counted from 0.
func Name(i int) string { return fmt.Sprint("g", i+1) }

// await asks until it is answered without an error.
func (c *Cluster) await(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		for i, g := range c.gateways {
			if !g.Running() {
				return fmt.Errorf("%s has ended", Name(i))
			}
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Share makes a volume of a directory, administered by a gateway, and waits until all serve it.
func (c *Cluster) Share(ctx context.Context, name, dir string, owner int, options ...string) error {
	words := append([]string{"volume", "create", name, "--backend", "posix:" + dir, "--preferred", Name(owner), "--state-dir", c.gateways[0].state,
		"--allow", "10.98.0.0/24=rw,no_root_squash,insecure"}, options...)
	if text, err := exec.CommandContext(ctx, c.Program, words...).CombinedOutput(); err != nil {
		return fmt.Errorf("volume create %s: %w: %s", name, err, text)
	}
	return c.await(ctx, func() error {
		for i := range c.gateways {
			s, err := c.status(i)
			if err != nil {
				return err
			}
			if err := s.serves(name, Name(owner)); err != nil {
				return fmt.Errorf("%s: %w", Name(i), err)
			}
		}
		return nil
	})
}

// clusterStatus is what is looked at of a gateway's status.
type clusterStatus struct {
	Valid   bool
	Volumes []struct {
		Name, Owner     string
		Serving, Moving bool
	}
	Addresses []struct{ Address, Home, At string }
}

// serves fails unless a volume is served by its owner, and all addresses are at home.
func (s *clusterStatus) serves(volume, owner string) error {
	for _, a := range s.Addresses {
		if a.At != a.Home {
			return fmt.Errorf("address %+v", a)
		}
	}
	for _, v := range s.Volumes {
		if v.Name == volume && v.Serving && !v.Moving && v.Owner == owner {
			return nil
		}
	}
	return fmt.Errorf("volume %s: %+v", volume, s.Volumes)
}

func (c *Cluster) status(i int) (*clusterStatus, error) {
	s := &clusterStatus{}
	if err := c.send(i, http.MethodGet, "/cluster", nil, s); err != nil {
		return nil, err
	}
	if !s.Valid {
		return nil, errors.New("it is no member")
	}
	return s, nil
}

// order has a gateway do what an operator's command does.
func (c *Cluster) order(i int, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.send(i, http.MethodPost, path, body, out)
}

func (c *Cluster) send(i int, method, path string, body []byte, out any) error {
	request, err := http.NewRequest(method, "http://causeway"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	client := (&Server{Admin: filepath.Join(c.gateways[i].state, "control.sock")}).HTTP()
	defer client.CloseIdleConnections()
	client.Timeout = 15 * time.Second
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(string(bytes.TrimSpace(text)))
	}
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	return err
}

// Through is a volume at one of the gateways. Its CPU time is that of all gateways.
func (c *Cluster) Through(i int, volume, dir string) *Server {
	g := c.gateways[i]
	at := netip.AddrPortFrom(g.service, nfsPort.Port())
	s := &Server{Process: g.Process, Namespace: c.network.Center, NFS: at, Mount: at, Export: "/" + volume, Dir: dir,
		Admin: filepath.Join(g.state, "control.sock")}
	for j, other := range c.gateways {
		if j != i {
			s.beside = append(s.beside, other.Process)
		}
	}
	return s
}

// ThroughAll is a volume at all gateways: connections are made to one after the other.
func (c *Cluster) ThroughAll(volume, dir string) *Server {
	s := c.Through(0, volume, dir)
	for _, g := range c.gateways[1:] {
		s.more = append(s.more, netip.AddrPortFrom(g.service, nfsPort.Port()))
	}
	return s
}

// Service is where clients go to reach a gateway.
func (c *Cluster) Service(i int) netip.Addr { return c.gateways[i].service }

// Center is where the clients are.
func (c *Cluster) Center() *Namespace { return c.network.Center }

// Kill ends a gateway's process at once.
func (c *Cluster) Kill(i int) error { return syscall.Kill(c.gateways[i].PID(), syscall.SIGKILL) }

// Command runs an operator's command at the first gateway.
func (c *Cluster) Command(ctx context.Context, words ...string) error {
	if text, err := exec.CommandContext(ctx, c.Program, append(words, "--state-dir", c.gateways[0].state)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", words, err, text)
	}
	return nil
}

// Stop ends all gateways.
func (c *Cluster) Stop() {
	for _, g := range c.gateways {
		g.Process.Stop()
	}
	c.network.Close()
}
