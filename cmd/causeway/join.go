package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"causeway"
	"causeway/cluster"
	"causeway/cluster/address"
	"causeway/cluster/record"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
	"causeway/cmd/causeway/undertaker"
	"causeway/discovery"
	"causeway/gateway/near"
)

// membership is what a gateway of a cluster is told beside what every gateway is.
type membership struct {
	name      string
	peer      netip.AddrPort
	addresses []netip.Addr
	port      uint16 // of NFS, at every service address of the cluster
	smbPort   uint16 // of SMB there; 0: none
	network   string // the interface that carries service addresses
	bootstrap bool
	join      string
	token     string
	survivor  *address.Guard // clears up if the process is killed; nil: none
	alone     bool           // without an undertaker
	hangs     time.Duration  // after which storage that does not answer is taken for dead
	naming    naming         // how it answers by DNS
	etcd      external       // zero: the database is in the gateways
}

// protocolVersions are those that this gateway speaks; zero: what the cluster's code does.
var protocolVersions record.Versions

// joinWithin bounds how long a gateway tries to become a member when it starts.
const joinWithin = 90 * time.Second

// Ports of a gateway beside that of --peer, relative to it.
const (
	enginePeerPort   = 1
	engineClientPort = 2
	betweenPort      = 3
	mirrorPort       = 5
)

// at is the host of --peer with another port; port 0 stays one that the system chooses.
func (c *membership) at(offset uint16) string {
	port := c.peer.Port()
	if port != 0 {
		port += offset
	}
	return netip.AddrPortFrom(c.peer.Addr(), port).String()
}

// startMember makes a gateway of a cluster, and serves.
func startMember(ctx context.Context, c *config.Config, mc *membership, log *slog.Logger) (*node, error) {
	n := &node{config: c, log: log, metrics: newMetrics(), failed: make(chan error, 1), self: mc.name}
	j := &joining{node: n, membership: mc}
	return n.begin(ctx, []func(context.Context) error{
		n.openState,
		j.listen,
		j.listenDNS,
		n.startEngines,
		j.startUndertaker,
		j.newMember,
		func(context.Context) error { return n.startAdmin(n.reloadMember) },
		j.enter,
		j.seed,
		n.startFronts,
		j.startSMB,
		j.startAware,
		j.serve,
		func(context.Context) error { j.crowd.start(); return nil },
		n.startCallbacks,
		j.retireUsers,
	})
}

// joining is a gateway on its way into a cluster.
type joining struct {
	*node
	*membership
	door, between net.Listener // for joiners, and for other gateways' requests
	mirror        net.Listener // for what other gateways say of their clients' connections
	site          *site
	dns           *discovery.Server      // nil: it does not answer by DNS
	undertaker    *undertaker.Undertaker // nil: none
}

func (j *joining) listen(ctx context.Context) (err error) {
	if j.door, err = new(net.ListenConfig).Listen(ctx, "tcp", j.peer.String()); err != nil {
		return explainBind("--peer", j.peer, err)
	}
	j.teardown.addClose("door", func() error { j.door.Close(); return nil })
	if j.between, err = new(net.ListenConfig).Listen(ctx, "tcp", j.at(betweenPort)); err != nil {
		return fmt.Errorf("--peer %v: the port %d above it is for other gateways: %w", j.peer, betweenPort, err)
	}
	j.teardown.addClose("listener for other gateways", func() error { j.between.Close(); return nil })
	if j.mirror, err = new(net.ListenConfig).Listen(ctx, "tcp", j.at(mirrorPort)); err != nil {
		return fmt.Errorf("--peer %v: the port %d above it is for other gateways: %w", j.peer, mirrorPort, err)
	}
	j.teardown.addClose("mirror listener", func() error { j.mirror.Close(); return nil })
	return j.bindAdmin(ctx)
}

func (j *joining) newMember(context.Context) (err error) {
	j.site, j.volumes.holder = newSite(j.node, j.port), j.name
	j.site.smbPort = j.smbPort
	dir, err := j.state.Sub("cluster")
	if err != nil {
		return err
	}
	cfg := cluster.Config{
		Node: j.name, Dir: dir, Seed: cluster.NodeRecord{Addresses: j.addresses}, Log: j.log,
		Peer: j.door.Addr().String(), Door: j.door, Between: j.between.Addr().String(), Mirror: j.mirror.Addr().String(),
		Bootstrap: j.bootstrap, Join: j.join, Token: j.token, Leave: j.leaves,
	}
	if j.dns != nil {
		cfg.DNS = j.dns.Addresses()
	}
	cfg.Services = j.services()
	cfg.External = j.etcd.endpoints
	if cfg.ExternalTLS, err = j.etcd.tls(); err != nil {
		return err
	}
	cfg.Versions = protocolVersions
	if j.peer.Port() != 0 {
		cfg.EnginePeer, cfg.EngineClient = j.at(enginePeerPort), j.at(engineClientPort)
	}
	holding, volumes := &holder{}, newClusterVolumes(j.volumes)
	j.member, err = member.New(member.Config{Cluster: cfg, Catalog: j.volumes.catalog, Volumes: volumes,
		Engines:  member.Engines{Access: j.access, Transfer: j.moves, Lost: j.lost, Holder: holding, Taker: j.moves, State: j.access, Layouts: j.access, Locks: j.locks},
		Listener: j.site, Interface: j.network, Mirror: j.mirror, Ports: j.ports(), Guard: j.survivor, Holds: j.holds, CutOff: j.cutOff,
		Log: j.log.With("node", j.name), Discovery: j.announced(), Reading: j.reading, Crowd: j.crowd, Clients: func() int { return int(j.working.Load()) }, Hangs: j.hangs})
	if err != nil {
		return err
	}
	volumes.prove, volumes.doubt = j.member.Witnessed, j.member.Split().Doubt
	j.teardown.addClose("storage that was lost", volumes.closeDead)
	if err := j.close(holding); err != nil {
		return err
	}
	return j.metrics.Registry().Register(j.member.Metrics())
}

// lost ends what was opened by a path to the storage that is dead, and tells clients to write again what they have not synced.
func (j *joining) lost(v causeway.VolumeID) {
	j.moves.SyncFailed(v)
	j.moves.Regrant(v)
}

// cutOff ends what clients have sent and other gateways have allowed before this gateway was cut off.
func (j *joining) cutOff() {
	j.moves.CutOff()
	j.site.CutOff()
}

// close closes the circle: engines ask other gateways, and are asked by them.
func (j *joining) close(holding *holder) (err error) {
	split, c := j.member.Split(), j.circle
	c.near, err = near.New(near.Config{
		Access: split.Router(), Leased: split.Leased, Holder: j.recalls, Attr: j.moves.Attr, Node: j.name, Valid: j.member.ValidNearly,
	})
	if err != nil {
		return err
	}
	c.Layouts, c.Guard, c.Holders, holding.Holder = split.Router(), split.Router(), split.Holders(), c.near
	c.alive, c.life = j.member.ValidAt, j.member.Routes().Life
	split.Near(c.near)
	j.teardown.addClose("leases", c.near.Close)
	return nil
}

// enter joins. What follows needs what the cluster's gateways share.
func (j *joining) enter(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	j.teardown.add("membership", j.member.Leave)
	if err := j.member.Join(ctx); err != nil {
		return err
	}
	split := j.member.Split()
	j.faces = faces{j.circle.near, split.Transfer(), split.Stable(), j.member.Routes().Pass, j.member.LockClients(j.records)}
	return nil
}

// serve answers other gateways, then clients.
func (j *joining) serve(context.Context) error {
	if err := j.site.start(); err != nil {
		return err
	}
	j.member.Tell(j.nlm)
	split := j.member.Split()
	j.run("other gateways", func() error { return split.Serve(j.between) })
	j.teardown.addClose("other gateways", func() error { split.Close(); return nil })
	if err := j.member.Serve(); err != nil {
		return err
	}
	j.teardown.add("membership", j.member.Leave) // before all others
	j.followDrain()
	return nil
}
