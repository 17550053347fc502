package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"causeway/cluster/record"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
	"causeway/cmd/causeway/state"
)

// foundingName is the file of the state directory that says that a gateway of `serve` is one of a cluster.
const foundingName = "gateway.json"

// founding is what makes a gateway that serves alone the first one of a cluster.
type founding struct {
	Format    int            `json:"format"`
	Name      string         `json:"name"`
	Peer      netip.AddrPort `json:"peer"`
	Addresses []netip.Addr   `json:"addresses"` // service addresses
	Port      uint16         `json:"port"`      // of NFS there
	Interface string         `json:"interface,omitempty"`
}

// membership is what startMember needs of it. The cluster is made if the state directory holds none.
func (f *founding) membership() *membership {
	return &membership{name: f.Name, peer: f.Peer, addresses: f.Addresses, port: f.Port, network: f.Interface, bootstrap: true}
}

// readFounding returns what the state directory says, nil if it belongs to a gateway that serves alone.
func readFounding(dir string) (*founding, error) {
	path := filepath.Join(dir, foundingName)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	f := &founding{}
	if err == nil {
		err = json.Unmarshal(text, f)
	}
	if err == nil && f.Format != 1 {
		err = fmt.Errorf("format %d, this version reads 1", f.Format)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// isNode reports whether a gateway of a cluster has its state in a directory.
func isNode(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cluster", "identity"))
	return err == nil
}

// fill sets what the operator left out: this machine's name, and the addresses at which the gateway answers already.
func (f *founding) fill(at netip.AddrPort) {
	here := at.Addr().Unmap()
	if here.IsUnspecified() {
		here = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if lan := findLAN(); lan.IsValid() {
			here = lan.Addr()
		}
	}
	if f.Name == "" {
		name, _ := os.Hostname()
		f.Name, _, _ = strings.Cut(name, ".")
	}
	if f.Name == "" {
		f.Name = "g1"
	}
	if len(f.Addresses) == 0 {
		f.Addresses = []netip.Addr{here}
	}
	if !f.Peer.IsValid() {
		f.Peer = netip.AddrPortFrom(here, 9441)
	}
	f.Format, f.Port = 1, at.Port()
}

// check refuses what would fail after the gateway has stopped to serve alone.
func (f *founding) check(ctx context.Context, volumes []config.Volume) error {
	node := record.Node{Name: f.Name, State: record.Active}
	if err := node.Validate(); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	for i := range volumes {
		if err := seedRecord(&volumes[i]).Validate(); err != nil {
			return fmt.Errorf("a cluster cannot have it: %w", err)
		}
	}
	mc := f.membership()
	for _, offset := range []uint16{0, enginePeerPort, engineClientPort, betweenPort, mirrorPort} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", mc.at(offset))
		if err != nil {
			return fmt.Errorf("--peer %v: the ports of a gateway are that one and the five above it: %w", f.Peer, err)
		}
		l.Close()
	}
	return nil
}

// grower turns a gateway of `serve` that is alone into the first one of a cluster. It lives as long as the process.
type grower struct {
	log *slog.Logger
	ask chan struct{} // asked to, and founding is written

	mu     sync.Mutex
	failed string // why it did not work the last time
	asking bool   // it is on its way: what fails is taken back
}

func (g *grower) growing() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asking = true
}

// asked reports, once, whether the gateway shall become one of a cluster just now.
func (g *grower) asked() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.asking
	g.asking = false
	return was
}

// routes are the operator's commands that a gateway answers while it is alone.
func (g *grower) routes(n *node) map[string]http.Handler {
	return map[string]http.Handler{
		"GET /cluster/init": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			json.NewEncoder(w).Encode(initStatus{g.failed})
		}),
		"GET /cluster/clients": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			json.NewEncoder(w).Encode(member.ClientList{Clients: n.crowd.Clients()})
		}),
		"POST /cluster/init": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f := founding{}
			if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&f); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			if err := g.begin(r.Context(), n, &f); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			json.NewEncoder(w).Encode(&f)
		}),
	}
}

// initStatus is why the last attempt failed, if one did.
type initStatus struct {
	Failed string `json:"failed"`
}

// begin writes down what the gateway shall be, and has it start anew as that.
func (g *grower) begin(ctx context.Context, n *node, f *founding) error {
	if !n.up.Load() {
		return errors.New("the gateway is still starting")
	}
	f.fill(n.address())
	if err := f.check(ctx, n.config.Volumes); err != nil {
		return err
	}
	text, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed = ""
	if err := state.Replace(n.state.Path(foundingName), append(text, '\n')); err != nil {
		return err
	}
	select {
	case g.ask <- struct{}{}:
	default: // asked for twice
	}
	return nil
}

// failedWith takes back what begin wrote: the gateway goes on alone. A cluster that came to be is not taken back.
func (g *grower) failedWith(dir string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed = err.Error()
	g.log.Error("the gateway did not become one of a cluster, and goes on alone", "err", err)
	for _, name := range []string{foundingName, "cluster"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			g.log.Error("what was written for that could not be removed", "err", err)
		}
	}
}

// seedRecord is what a cluster keeps of a volume of the command line or the file, without id and key.
func seedRecord(v *config.Volume) *record.Volume {
	backend := "posix:" + v.Path
	if v.IsShare() {
		backend = v.Path
	}
	r := &record.Volume{Name: v.Name, ID: 1, Keys: []record.HandleKey{{ID: 1}}, Backend: backend, Weight: 1, CanMigrate: true,
		Domain: record.AllDomain, DomainPolicy: record.Reach, Async: v.Modes.Async, Exclusive: v.Modes.Exclusive, ReadOnly: v.Modes.ReadOnly,
		SMB: record.ShareOf(v.Share)}
	for _, rule := range v.Rules {
		r.Exports = append(r.Exports, record.ExportOf(rule))
	}
	return r
}
