package member

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/dchest/siphash"

	"causeway"
	"causeway/cluster/record"
	"causeway/gateway"
	"causeway/gateway/peer"
	"causeway/gateway/replies"
	"causeway/gateway/shadow"
)

// Engines are what this gateway does itself: the access part of the volumes that it administers, and the data part of all volumes whose
// storage it reaches.
type Engines struct {
	Access   gateway.Access
	Transfer gateway.Transfer
	Holder   gateway.Holder          // of the grants that Transfer uses
	State    gateway.Keeper          // of what clients hold by Access
	Drop     func(causeway.VolumeID) // forgets what clients hold in a volume: another gateway knows it
}

// Split is every volume of the cluster, as the fronts of this gateway see it: the access part is answered by whoever administers the
// volume, bytes are moved here.
type Split struct {
	m       *Member
	engines Engines
	memory  *replies.Memory
	peers   *peer.Peers
	router  *peer.Router
	proxy   *peer.Proxy
	copies  copies
}

// newSplit connects the engines. Other gateways are asked from Join on, and answered from Serve on.
func newSplit(m *Member, e Engines) (*Split, error) {
	s := &Split{m: m, engines: e}
	s.copies = copies{split: s, owned: make(map[causeway.VolumeID]causeway.Epoch)}
	var err error
	if s.memory, err = replies.New(replies.Config{Access: e.Access, Copies: &s.copies}); err != nil {
		return nil, err
	}
	if s.peers, err = peer.New(peer.Config{
		Node: m.cfg.Cluster.Node, Address: m.relayOf, Client: m.client, Server: m.server(), Table: m.routes,
		Member: m.known, Known: func(v causeway.VolumeID) bool { return m.cfg.Catalog.ByID(v) != nil },
		Others: m.peers, Log: m.log,
	}); err != nil {
		return nil, err
	}
	guarded := &guarded{e.Transfer, m.routes}
	s.peers.Offer(peer.Services{Access: s.memory, Holder: e.Holder, Transfer: guarded, Copies: &s.copies})
	if s.router, err = peer.NewRouter(peer.RouterConfig{Peers: s.peers, Near: m.cfg.Volumes.Near}); err != nil {
		return nil, err
	}
	if s.proxy, err = peer.NewProxy(peer.ProxyConfig{Peers: s.peers, Local: guarded, Reach: s.reach}); err != nil {
		return nil, err
	}
	s.copies.sender, err = shadow.New(shadow.Config{Network: s.peers, Choose: s.keepers, All: s.copies.all, Log: m.log})
	e.State.Observe(s.copies.observe)
	return s, err
}

// Access is the access part of all volumes.
func (s *Split) Access() gateway.Access { return s.router }

// Transfer is the data part of all volumes.
func (s *Split) Transfer() gateway.Transfer { return s.proxy }

// Stable makes changes stable that were made here, also while their volume is about to move.
func (s *Split) Stable() gateway.Persister { return s.memory }

// Serve answers other gateways until Close.
func (s *Split) Serve(l net.Listener) error { return s.peers.Serve(l) }

// Close ends what is asked of other gateways and by them.
func (s *Split) Close() { s.peers.Close() }

// server makes the certificate of this gateway known when it has one.
func (m *Member) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := m.Cluster()
		if c == nil {
			return nil, errors.New("this gateway has not joined its cluster yet")
		}
		config, err := c.Identity().Server().GetConfigForClient(hello)
		if err == nil {
			config.NextProtos = []string{"h2"}
		}
		return config, err
	}}
}

// relayOf is where a node answers other gateways.
func (m *Member) relayOf(node string) (string, bool) {
	c := m.Cluster()
	if c == nil {
		return "", false
	}
	member, _ := c.Table().Member(node)
	if member == nil || member.Relay == "" {
		return "", false
	}
	return member.Relay, true
}

// others are the other gateways that run.
func (m *Member) peers() []string {
	c := m.Cluster()
	if c == nil {
		return nil
	}
	var names []string
	for item := range c.Table().All(record.KindMember) {
		if name := item.Key.Name; name != m.cfg.Cluster.Node {
			names = append(names, name)
		}
	}
	return names
}

// runs reports whether a node's membership lasts.
func (m *Member) runs(node string) bool {
	c := m.Cluster()
	return c != nil && c.Table().Get(record.Named(record.KindMember, node)) != nil
}

// keepers are the gateways that may keep the second copy of a volume: those that run, in an order that is the volume's own, so that
// not all copies are in one place.
func (s *Split) keepers(v causeway.VolumeID) []string {
	nodes := s.m.peers()
	rank := func(node string) uint64 { return siphash.Hash(uint64(v), 0, []byte(node)) }
	slices.SortFunc(nodes, func(a, b string) int {
		if rank(a) < rank(b) {
			return -1
		}
		return 1
	})
	return nodes
}

// reach says where a volume's bytes are moved: here if its storage is open, else by its owner, who reaches it for sure.
func (s *Split) reach(v causeway.VolumeID) (here bool, node string) {
	if s.m.cfg.Volumes.Open(v) {
		return true, ""
	}
	now := s.m.routes.Now(v)
	if !now.Open || now.Here {
		return false, ""
	}
	return false, now.Node
}

// acquire takes over what the last owner of a volume knew.
func (s *Split) acquire(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	newest, err := shadow.Collect(ctx, s.peers, s.m.peers(), s.m.runs, v, e)
	if err != nil {
		return err
	}
	if mine := s.copies.keeper.Copy(v, e); newest.Version.Before(mine.Version) {
		newest = mine
	}
	if err := s.copies.restore(ctx, v, newest); err != nil {
		return fmt.Errorf("what clients of the volume hold: %w", err)
	}
	s.copies.begin(v, e)
	return nil
}
