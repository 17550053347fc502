package member

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/dchest/siphash"

	"causeway"
	"causeway/cluster/record"
	"causeway/gateway"
	"causeway/gateway/peer"
	"causeway/gateway/replies"
	"causeway/gateway/rounds"
	"causeway/gateway/shadow"
	"causeway/gateway/transfer"
	"causeway/lockmgr"
)

// Engines are what this gateway does itself: the access part of the volumes that it administers, and the data part of all volumes whose
// storage it reaches.
type Engines struct {
	Access interface {
		gateway.Access
		gateway.Stateful
	}
	Transfer gateway.Transfer
	Lost     func(causeway.VolumeID) // what Transfer wrote and did not sync may be lost
	Holder   gateway.Holder          // of all grants and leases of this gateway
	Taker    gateway.Taker           // of grants that come unasked
	State    gateway.Keeper          // of what clients hold by Access
	Layouts  interface {             // of what gateways hold by Access
		AssertGrants(holder string, e causeway.Epoch, held []gateway.Held) (refused []gateway.Held, err error)
		Lost(node string)
		Died(node string)
	}
	Locks interface {
		Drop(causeway.VolumeID) // forgets what clients hold in a volume: another gateway knows it
		BeginGrace(v causeway.VolumeID, known []lockmgr.Client, grace, settle time.Duration)
		Told(lockmgr.Client)
	}
}

// Split is every volume of the cluster, as the fronts of this gateway see it: the access part is answered by whoever administers the
// volume, bytes are moved here.
type Split struct {
	m       *Member
	engines Engines
	memory  *replies.Memory
	rounds  *rounds.Rounds // of what clients here and other gateways have changed
	peers   *peer.Peers
	router  *peer.Router
	paths   *transfer.Paths
	near    interface{ Drop(causeway.VolumeID) }
	copies  copies
}

// newSplit connects the engines. Other gateways are asked from Join on, and answered from Serve on.
func newSplit(m *Member, e Engines) (*Split, error) {
	s := &Split{m: m, engines: e}
	s.copies = copies{split: s, owned: make(map[causeway.VolumeID]causeway.Epoch)}
	var err error
	if s.memory, err = replies.New(replies.Config{Access: e.Access, Copies: &s.copies, Log: m.log}); err != nil {
		return nil, err
	}
	s.rounds = rounds.Of(s.memory)
	if s.peers, err = peer.New(peer.Config{
		Node: m.cfg.Cluster.Node, Address: m.gatewayAt, Client: m.client, Server: m.server(), Table: m.routes,
		Member: m.joining, Joining: func() uint64 { joining, _ := m.joining(m.cfg.Cluster.Node); return joining }, Known: func(v causeway.VolumeID) bool { return m.cfg.Catalog.ByID(v) != nil },
		Others: m.peers, Log: m.log,
	}); err != nil {
		return nil, err
	}
	guarded := &guarded{e.Transfer, m.routes}
	if err := s.findPaths(guarded); err != nil {
		return nil, err
	}
	s.peers.Offer(peer.Services{Access: s.memory, Stable: s.rounds, Stateful: s.memory.Stateful(e.Access), Holder: e.Holder, Transfer: s.paths.Own(), Copies: &s.copies})
	if s.router, err = peer.NewRouter(peer.RouterConfig{Peers: s.peers, Near: m.cfg.Volumes.Near, Taker: e.Taker}); err != nil {
		return nil, err
	}
	s.copies.sender, err = shadow.New(shadow.Config{Network: s.peers, Choose: s.keepers, All: s.copies.whole, Note: s.copies.note, Log: m.log})
	e.State.Observe(s.copies.observe)
	return s, err
}

// Router answers the access part of all volumes, wherever they are administered.
func (s *Split) Router() *peer.Router { return s.router }

// Holders ends grants at other gateways.
func (s *Split) Holders() gateway.Holders { return s.peers }

// Leased returns a volume whose names and attributes are leased from another gateway, else nil.
func (s *Split) Leased(id causeway.VolumeID) *causeway.Volume {
	if v := s.m.cfg.Catalog.ByID(id); v != nil && v.Exclusive && !s.m.routes.Now(id).Here {
		return v
	}
	return nil
}

// Near says who remembers what was leased. It is for before Join.
func (s *Split) Near(n interface{ Drop(causeway.VolumeID) }) { s.near = n }

// Transfer is the data part of all volumes.
func (s *Split) Transfer() gateway.Transfer { return s.paths }

// Stable makes changes stable that were made here, also while their volume is about to move.
func (s *Split) Stable() gateway.Persister { return s.rounds }

// Serve answers other gateways until Close.
func (s *Split) Serve(l net.Listener) error { return s.peers.Serve(l) }

// Close ends what is asked of other gateways and by them.
func (s *Split) Close() {
	s.peers.Close()
	s.paths.Close()
}

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

// gatewayAt is where a node answers other gateways.
func (m *Member) gatewayAt(node string) (string, bool) {
	c := m.Cluster()
	if c == nil {
		return "", false
	}
	member, _ := c.Table().Member(node)
	if member == nil || member.Between == "" {
		return "", false
	}
	return member.Between, true
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

// joining tells in which joining of the cluster a node runs.
func (m *Member) joining(node string) (uint64, bool) {
	c := m.Cluster()
	if c == nil {
		return 0, false
	}
	member, _ := c.Table().Member(node)
	if member == nil {
		return 0, false
	}
	return member.Incarnation, true
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

// acquire takes over what the last owner of a volume knew.
func (s *Split) acquire(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	newest, err := shadow.Collect(ctx, s.peers, s.m.peers(), s.m.runs, v, e)
	if err != nil {
		return err
	}
	if mine := s.copies.keeper.Copy(v, e); newest.Version.Before(mine.Version) {
		newest = mine
	}
	s.m.log.Debug("the newest copy of a volume", "volume", v, "epoch", e, "of", newest.Version.Epoch, "term", newest.Version.Term, "records", len(newest.Records))
	t := s.m.Cluster().Table()
	made := t.Get(record.Of(record.KindVolume, v))
	if made == nil {
		return causeway.ErrNoEnt
	}
	copied, lost := inherited(newest, least(t, v), e, made.Create)
	if err := s.takeOver(ctx, v, e, copied); err != nil {
		s.engines.Locks.Drop(v) // the next attempt may be after others served it, and less is held then
		return err
	}
	if lost || newest.Version == (shadow.Version{}) && s.m.mayHaveHeld(v) {
		s.m.log.Info("no gateway has the latest copy of what clients held of the volume before", "volume", v, "epoch", e, "newest", newest.Version.Epoch)
		s.m.lose(v, e)
	}
	s.copies.begin(v, e)
	return nil
}

func (s *Split) takeOver(ctx context.Context, v causeway.VolumeID, e causeway.Epoch, copied shadow.Copy) error {
	if err := s.copies.restore(ctx, v, copied); err != nil {
		return fmt.Errorf("what clients of the volume hold: %w", err)
	}
	return s.regrant(ctx, v, e)
}

// regrant takes over what gateways hold of a volume. Those that do not run hold nothing any more: they have stopped before their
// membership ended.
func (s *Split) regrant(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	if err := s.assert(ctx, s.m.cfg.Cluster.Node, v, e, s.engines.Holder.Reassert); err != nil {
		return err
	}
	nodes := s.m.peers()
	errs := make([]error, len(nodes))
	var asked sync.WaitGroup
	for i, node := range nodes {
		asked.Go(func() {
			reassert := func(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) ([]gateway.Held, error) {
				return s.peers.Reassert(ctx, node, v, e)
			}
			for errs[i] = s.assert(ctx, node, v, e, reassert); errs[i] != nil && ctx.Err() == nil; errs[i] = s.assert(ctx, node, v, e, reassert) {
				if !s.m.runs(node) {
					errs[i] = nil
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	asked.Wait()
	return errors.Join(errs...)
}

// assert takes over what one gateway holds. What contradicts what another one holds it gives up.
func (s *Split) assert(ctx context.Context, node string, v causeway.VolumeID, e causeway.Epoch, reassert func(context.Context, causeway.VolumeID, causeway.Epoch) ([]gateway.Held, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	held, err := reassert(ctx, v, e)
	if err != nil {
		return err
	}
	refused, err := s.engines.Layouts.AssertGrants(node, e, held)
	for _, h := range refused {
		r := &gateway.Recall{Handle: h.Handle, Epoch: e, Seq: h.Seq, Leases: h.Leases}
		if node == s.m.cfg.Cluster.Node {
			_, recallErr := s.engines.Holder.Recall(ctx, r)
			err = errors.Join(err, recallErr)
			continue
		}
		_, recallErr := s.peers.Recall(ctx, node, r)
		err = errors.Join(err, recallErr)
	}
	return err
}
