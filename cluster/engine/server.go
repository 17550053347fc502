// Package engine runs the configuration database: an etcd server inside this process, and connections to servers in this or
// other processes. It knows nothing of what is stored.
//
// Not here: records and transactions on them (cluster/record, cluster/database), who shall run a server (cluster).
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
)

// Config describes a server.
type Config struct {
	Name      string // unique among the servers
	Dir       string // where its data lies; belongs to it alone
	Peer      string // host:port for other servers
	Client    string // host:port for clients
	TLS       Files
	Members   map[string]string // name → peer host:port, of the first servers of a new database; default: this one alone
	Join      bool              // the database exists, and Members lists all its servers with this one
	Heartbeat time.Duration     // default 30 ms
	Election  time.Duration     // default 300 ms
	Quota     int64             // bytes; default 512 MiB
	Log       *slog.Logger
}

// Files are the PEM files of a server: read again at each handshake, so that certificates can be replaced.
type Files struct {
	Pair      string // certificate and key
	Authority string // who signs those of others
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	for _, f := range []struct{ name, value string }{{"Name", c.Name}, {"Dir", c.Dir}, {"Log", ""}} {
		if f.value == "" && (f.name != "Log" || c.Log == nil) {
			return fmt.Errorf("engine: no %s", f.name)
		}
	}
	for _, f := range []struct{ name, value string }{{"Peer", c.Peer}, {"Client", c.Client}} {
		if _, port, err := net.SplitHostPort(f.value); err != nil || port == "0" || port == "" {
			return fmt.Errorf("engine: %s %q is not host:port", f.name, f.value)
		}
	}
	if c.TLS.Pair == "" || c.TLS.Authority == "" {
		return fmt.Errorf("engine: no TLS")
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 30 * time.Millisecond
	}
	if c.Election == 0 {
		c.Election = 300 * time.Millisecond
	}
	if c.Election < 5*c.Heartbeat {
		return fmt.Errorf("engine: Election %v is less than five times Heartbeat %v", c.Election, c.Heartbeat)
	}
	if c.Quota == 0 {
		c.Quota = 512 << 20
	}
	if c.Members == nil {
		c.Members = map[string]string{c.Name: c.Peer}
	}
	return nil
}

// Server is a running server.
type Server struct {
	etcd    *embed.Etcd
	cfg     Config
	closing *atomic.Bool
	once    sync.Once
}

// Started reports whether a server has run in dir before: then it starts again whatever Members and Join say.
func Started(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "member", "wal"))
	return err == nil
}

// Start starts a server and waits until it serves, or ctx ends. A server that joins serves when the others have accepted it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	closing := new(atomic.Bool)
	etcd, err := embed.StartEtcd(cfg.embedded(closing))
	if err != nil {
		return nil, fmt.Errorf("configuration database: %w", err)
	}
	s := &Server{etcd: etcd, cfg: cfg, closing: closing}
	select {
	case <-etcd.Server.ReadyNotify():
		return s, nil
	case err = <-etcd.Err():
	case <-etcd.Server.StopNotify():
		err = fmt.Errorf("stopped while starting")
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Close()
	return nil, fmt.Errorf("configuration database: %w", err)
}

func (c *Config) embedded(closing *atomic.Bool) *embed.Config {
	e := embed.NewConfig()
	e.Name, e.Dir = c.Name, c.Dir
	e.TickMs, e.ElectionMs = uint(c.Heartbeat/time.Millisecond), uint(c.Election/time.Millisecond)
	e.ListenPeerUrls, e.AdvertisePeerUrls = urls(c.Peer), urls(c.Peer)
	e.ListenClientUrls, e.AdvertiseClientUrls = urls(c.Client), urls(c.Client)
	var members []string
	for name, peer := range c.Members {
		members = append(members, name+"=https://"+peer)
	}
	e.InitialCluster, e.InitialClusterToken = strings.Join(members, ","), "causeway"
	e.ClusterState = embed.ClusterStateFlagNew
	if c.Join {
		e.ClusterState = embed.ClusterStateFlagExisting
	}
	tls := transport.TLSInfo{CertFile: c.TLS.Pair, KeyFile: c.TLS.Pair, TrustedCAFile: c.TLS.Authority, ClientCertAuth: true}
	e.PeerTLSInfo, e.ClientTLSInfo = tls, tls
	e.TlsMinVersion = "TLS1.3"
	e.QuotaBackendBytes, e.MaxLearners = c.Quota, 2
	e.AutoCompactionMode, e.AutoCompactionRetention = embed.CompactorModePeriodic, "10m"
	e.EnableGRPCGateway = false
	e.PreVote = true
	e.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapTo(c.Log, closing))
	return e
}

func urls(hostport string) []url.URL { return []url.URL{{Scheme: "https", Host: hostport}} }

// Endpoint returns where clients reach the server.
func (s *Server) Endpoint() string { return "https://" + s.cfg.Client }

// Voters returns where clients reach the servers that vote, as far as this server knows; it does not ask the others. Without a
// leader it returns none: what it knows may be of long ago.
func (s *Server) Voters() []string {
	if s.etcd.Server.Leader() == 0 {
		return nil
	}
	var list []string
	for _, m := range s.etcd.Server.Cluster().Members() {
		if !m.IsLearner && len(m.ClientURLs) > 0 {
			list = append(list, m.ClientURLs[0])
		}
	}
	return list
}

// ID returns the server's id among the members.
func (s *Server) ID() uint64 { return uint64(s.etcd.Server.MemberID()) }

// Leads reports whether this server is the leader.
func (s *Server) Leads() bool { return s.etcd.Server.Leader() == s.etcd.Server.MemberID() }

// StepDown has another server lead, if this one does and there is one: what others ask for at that moment would be lost with a
// leader that stops.
func (s *Server) StepDown() error { return s.etcd.Server.TryTransferLeadershipOnShutdown() }

// Close stops the server. The others elect another leader, if it was theirs.
func (s *Server) Close() { s.once.Do(func() { s.closing.Store(true); s.etcd.Close() }) }
