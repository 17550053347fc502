package member

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"causeway"
	"causeway/cluster/record"
	"causeway/gateway/nfs/relay"
	"causeway/gateway/nfs/route"
	"causeway/gateway/nfs/rpc"
)

// Relay answers calls of volumes that other gateways administer, and those that other gateways send.
type Relay struct {
	m     *Member
	peers *relay.Peers
	own   map[relay.Program]rpc.Handler
	tasks sync.WaitGroup
}

// NewRelay returns a Relay without programs. It is for after Join.
func (m *Member) NewRelay() (*Relay, error) {
	r := &Relay{m: m, own: make(map[relay.Program]rpc.Handler)}
	var err error
	r.peers, err = relay.NewPeers(relay.PeersConfig{Address: r.address, Others: r.others, TLS: m.client, Log: m.log})
	return r, err
}

func (m *Member) client() *tls.Config { return m.Cluster().Identity().Client() }

func (r *Relay) address(node string) (string, bool) {
	member, _ := r.m.Cluster().Table().Member(node)
	if member == nil || member.Relay == "" {
		return "", false
	}
	return member.Relay, true
}

func (r *Relay) others() []string {
	var names []string
	for item := range r.m.Cluster().Table().All(record.KindMember) {
		if name := item.Key.Name; name != r.m.cfg.Cluster.Node {
			names = append(names, name)
		}
	}
	return names
}

// owner says who answers for a volume. A volume that is closed has nobody for now.
func (r *Relay) owner(id causeway.VolumeID) (peer string, epoch causeway.Epoch, local, ok bool) {
	if r.m.cfg.Catalog.ByID(id) == nil {
		return "", epoch, true, true
	}
	s := r.m.routes.Now(id)
	return s.Node, s.Epoch, s.Here, s.Open
}

// member reports whether a node is a member, and its incarnation.
func (r *Relay) member(node string) (uint64, bool) {
	m, _ := r.m.Cluster().Table().Member(node)
	if m == nil {
		return 0, false
	}
	return m.Incarnation, true
}

// owns says in which epoch this gateway administers a volume.
func (r *Relay) owns(id causeway.VolumeID) (causeway.Epoch, bool) {
	s := r.m.routes.Now(id)
	return s.Epoch, s.Open && s.Here && r.m.Valid()
}

// Handler returns what answers a program for all volumes of the cluster.
func (r *Relay) Handler(prog uint32, versions []uint32, local rpc.Handler, volume func(*rpc.Call) (causeway.VolumeID, bool)) (rpc.Handler, error) {
	away := &outside{}
	inside := route.Handler{Table: r.m.routes, Local: local, Volume: volume, Away: away}
	for _, v := range versions {
		r.own[relay.Program{Number: prog, Version: v}] = route.Handler{Table: r.m.routes, Local: local, Volume: volume}
	}
	h, err := relay.New(relay.Config{Local: inside, Catalog: r.m.cfg.Catalog, Owner: r.owner, Changed: r.m.routes.Changed, Peers: r.peers})
	away.Handler = h
	return h, err
}

// outside closes the circle between the handler that relays and the one that answers here.
type outside struct{ rpc.Handler }

// Serve answers other gateways until Close.
func (r *Relay) Serve(l net.Listener) (stop func(context.Context) error, err error) {
	server, err := relay.NewServer(relay.ServerConfig{TLS: r.m.Cluster().Identity().Server(), Handlers: r.own, Catalog: r.m.cfg.Catalog,
		Owns: r.owns, Member: r.member, Log: r.m.log})
	if err != nil {
		return nil, err
	}
	r.tasks.Go(func() {
		if err := server.Serve(l); !errors.Is(err, relay.ErrServerClosed) {
			r.m.log.Error("other gateways cannot reach this one any more", "err", err)
		}
	})
	return func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		r.peers.Close()
		r.tasks.Wait()
		return err
	}, nil
}
