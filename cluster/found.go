package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"causeway/cluster/engine"
	"causeway/cluster/pki"
)

// The state directory.
const (
	instanceFile = "instance"     // who this gateway is, whatever its name
	foundingFile = "founding.pem" // the authority of a new cluster, until it is in the database
	clusterFile  = "cluster.json" // where the database is
	identityDir  = "identity"
	engineDir    = "etcd"
)

// whereabouts is what clusterFile holds.
type whereabouts struct {
	Format    int      `json:"format"`
	Endpoints []string `json:"endpoints"`
	Cluster   string   `json:"cluster,omitempty"`  // whose the database is
	Revision  int64    `json:"revision,omitempty"` // that it had reached
	Node      string   `json:"node,omitempty"`     // as which this gateway was a member
}

func (c *Cluster) path(name string) string { return filepath.Join(c.cfg.Dir, name) }

// loadInstance returns what tells this state directory from others, and makes it at first.
func loadInstance(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, instanceFile)
	data, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(data))) == 32 {
		return strings.TrimSpace(string(data)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	id := newID()
	return id, pki.Replace(path, []byte(id+"\n"))
}

func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// connect finds the database: elsewhere, or by running a server of it.
func (c *Cluster) connect(ctx context.Context) (err error) {
	where, err := c.recall()
	if err != nil {
		return err
	}
	c.enrolled.Store(where.Node == c.cfg.Node && len(c.cfg.External) == 0)
	if len(c.cfg.External) > 0 {
		c.client, err = engine.Connect(ctx, c.cfg.External, c.cfg.ExternalTLS, c.log)
		return err
	}
	if c.cfg.EnginePeer, c.cfg.EngineClient, err = engineAddresses(c.cfg.EnginePeer, c.cfg.EngineClient); err != nil {
		return err
	}
	c.identity, err = pki.Open(c.path(identityDir))
	if err == nil && c.cfg.Join != "" && c.cfg.Now().After(c.identity.Certificate().NotAfter) {
		err = os.ErrNotExist // it was away for too long
	}
	if errors.Is(err, os.ErrNotExist) {
		c.enrolled.Store(false)
		switch {
		case c.cfg.Bootstrap:
			err = c.bootstrap()
		case c.cfg.Join != "":
			where.Endpoints, err = c.knock(ctx)
		default:
			err = fmt.Errorf("%s belongs to no cluster: say --bootstrap to make one, or --join and --token to join one", c.cfg.Dir)
		}
	}
	if err != nil {
		return err
	}
	if engine.Started(c.path(engineDir)) || c.founding() {
		if err := c.startServer(ctx, nil); err != nil {
			return err
		}
		where.Endpoints = append([]string{c.server.Load().Endpoint()}, where.Endpoints...)
	}
	slices.Sort(where.Endpoints)
	where.Endpoints = slices.Compact(where.Endpoints)
	if err := c.note(func(w *whereabouts) { w.Endpoints = where.Endpoints }); err != nil {
		return err
	}
	c.client, err = engine.Connect(ctx, where.Endpoints, c.identity.Client(), c.log)
	return err
}

// recall returns where the database was. A new state directory knows nothing.
func (c *Cluster) recall() (whereabouts, error) {
	where := whereabouts{Format: 1}
	data, err := os.ReadFile(c.path(clusterFile))
	if errors.Is(err, os.ErrNotExist) {
		return where, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &where)
	}
	if err == nil && where.Format != 1 {
		err = fmt.Errorf("format %d, this version reads 1", where.Format)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", c.path(clusterFile), err)
	}
	return where, err
}

// note changes what is remembered of the database.
func (c *Cluster) note(edit func(*whereabouts)) error {
	c.noting.Lock()
	defer c.noting.Unlock()
	where, err := c.recall()
	if err != nil {
		return err
	}
	edit(&where)
	data, err := json.Marshal(where)
	if err != nil {
		return err
	}
	return pki.Replace(c.path(clusterFile), append(data, '\n'))
}

// engineAddresses chooses local ports where none are set: a gateway that is alone needs no others.
func engineAddresses(peer, client string) (string, string, error) {
	for _, address := range []*string{&peer, &client} {
		if *address != "" {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", err
		}
		defer l.Close()
		*address = l.Addr().String()
	}
	return peer, client, nil
}

// bootstrap makes the authority of a new cluster and this gateway's certificate.
func (c *Cluster) bootstrap() error {
	authority, err := pki.NewAuthority(newID(), c.cfg.Now())
	if err != nil {
		return err
	}
	certificate, key := authority.PEM()
	if err := pki.Replace(c.path(foundingFile), []byte(certificate+key)); err != nil {
		return err
	}
	return c.issue(authority, []byte(certificate))
}

func (c *Cluster) founding() bool {
	_, err := os.Stat(c.path(foundingFile))
	return err == nil
}

// issue gives this gateway a certificate of an authority that it has.
func (c *Cluster) issue(authority *pki.Authority, trusted []byte) error {
	request, err := pki.NewRequest()
	if err != nil {
		return err
	}
	der, err := request.DER(c.cfg.Node, c.hosts())
	if err != nil {
		return err
	}
	certificate, err := authority.Issue(der, c.cfg.Node, c.cfg.Now())
	if err != nil {
		return err
	}
	stored, err := pki.Store(c.path(identityDir), certificate, request.KeyPEM(), trusted)
	if err != nil {
		return err
	}
	if c.identity == nil {
		c.identity = stored
		return nil
	}
	return c.identity.Reload()
}

// hosts returns where others reach this gateway.
func (c *Cluster) hosts() []string {
	hosts := []string{"127.0.0.1", "::1", "localhost"}
	for _, address := range []string{c.cfg.Peer, c.cfg.EnginePeer, c.cfg.EngineClient} {
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// startServer runs a server of the database in this process: its own old one, a new one, or one that joins members.
func (c *Cluster) startServer(ctx context.Context, members map[string]string) error {
	s, err := engine.Start(ctx, engine.Config{
		Name: c.cfg.Node, Dir: c.path(engineDir), Peer: c.cfg.EnginePeer, Client: c.cfg.EngineClient,
		TLS:     engine.Files{Pair: c.identity.PairFile(), Authority: c.identity.AuthorityFile()},
		Members: members, Join: members != nil, Heartbeat: c.cfg.Heartbeat, Election: c.cfg.Election, Log: c.log,
	})
	if err != nil {
		return err
	}
	c.server.Store(s)
	return nil
}
