package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/admin"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
	"causeway/cmd/causeway/state"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/aware"
	"causeway/gateway/near"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/nlm"
	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/security"
	"causeway/gateway/transfer"
	"causeway/internal/gate"
	"causeway/lockmgr"
)

// node is a running gateway: all rooms, connected.
type node struct {
	config   *config.Config
	log      *slog.Logger
	state    *state.Dir
	admin    *admin.Server
	metrics  *admin.Metrics
	listen   *endpoint
	offered  netip.AddrPort // where the programs answer; unspecified: at all service addresses
	http     net.Listener   // nil: none
	smb      smbFront
	rpc      *rpc.Server
	locks    *lockmgr.Manager
	grace    time.Time // when the grace period of the start ends at the latest
	replies  *drc.Cache
	volumes  *volumes
	mounts   *mount.Server
	nlm      *nlm.Service
	records  *nlm.StateDir // of the clients that hold locks
	guard    *export.Guard
	groups   *export.Groups // nil: as clients claim
	access   *access.Engine
	moves    *transfer.Engine
	self     string // the node's name; empty: no cluster
	circle   *circle
	gate     gate.Gate         // through which every request goes that uses a volume
	up       atomic.Bool       // all of the above is set
	services []portmap.Service // what is offered
	member   *member.Member    // nil: no cluster
	aware    *aware.Server     // nil: none
	recalls  *aware.Recalls    // what programs on this machine have borrowed
	crowd    *crowd            // who uses this gateway
	working  atomic.Int64      // aware clients that called within the last second
	faces    faces             // of the engines, to the fronts
	grower   *grower           // nil: it is one of a cluster
	portmap  string            // who answers port 111: "", "causeway" or "rpcbind"
	lacking  map[uint32]bool   // programs to which port 111 does not lead, because another server has them there

	teardown teardown
	serving  sync.WaitGroup
	failed   chan error // what stopped serving by itself
}

// faces are what the fronts see: the engines of this gateway, or of its cluster.
type faces struct {
	access   gateway.Access
	transfer gateway.Transfer
	persist  gateway.Persister // of what was changed here
	enter    func(causeway.VolumeID) gate.Pass
	clients  nlm.Records
}

// holder breaks the circle between access, which recalls grants, and transfer, which asks for them.
type holder struct{ gateway.Holder }

// circle is what the engines need of what is made after them: of a cluster, what reaches other gateways.
type circle struct {
	gateway.Layouts // whom transfer asks for grants
	gateway.Guard   // and before I/O on what is locked
	gateway.Holders // who ends grants at other gateways; nil: there are none
	near            *near.Cache
	alive           func(now time.Duration) bool
	life            func() uint64
}

func (c *circle) granted(h causeway.Handle, seq uint64) {
	if c.near != nil {
		c.near.Granted(h, seq)
	}
}

// start makes a gateway and serves.
func start(ctx context.Context, c *config.Config, log *slog.Logger, reload admin.Command, g *grower) (*node, error) {
	n := &node{config: c, log: log, metrics: newMetrics(), failed: make(chan error, 1), grower: g}
	return n.begin(ctx, []func(context.Context) error{
		n.openState,
		n.bind,
		func(context.Context) error { return n.startAdmin(reload) },
		n.startEngines,
		func(ctx context.Context) error { _, err := n.volumes.apply(ctx, c.Volumes); return err },
		n.startFronts,
		n.startSMB,
		n.startAware,
		n.serve,
		func(context.Context) error { n.crowd.start(); return nil },
		n.startPortmap,
		n.startCallbacks,
	})
}

// begin takes the steps of a start, and then says that the gateway is ready. What was started when a step fails is stopped again.
func (n *node) begin(ctx context.Context, steps []func(context.Context) error) (*node, error) {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, n.teardown.run(context.WithoutCancel(ctx), n.log))
		}
	}
	n.up.Store(true)
	n.admin.Enter(admin.Ready)
	return n, nil
}

func (n *node) openState(context.Context) error {
	path, err := stateDir(n.config.StateDir)
	if err != nil {
		return err
	}
	if err := apart(path, n.config.Volumes); err != nil {
		return err
	}
	if n.state, err = state.Open(path); err != nil {
		return explainState(err)
	}
	n.teardown.addClose("state", n.state.Close)
	return nil
}

func explainState(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; choose one that this user can write with --state-dir", err)
	}
	return err
}

// bind takes the addresses before anything is touched that another gateway may be using.
func (n *node) bind(ctx context.Context) (err error) {
	if n.listen, err = bind(ctx, "--listen", n.config.ListenAddr); err != nil {
		return err
	}
	n.offered = n.listen.addr
	n.teardown.addClose("listeners", func() error { n.listen.close(); return nil }) // twice: the RPC server closes them too
	return errors.Join(n.bindSMB(ctx), n.bindAdmin(ctx))
}

// bindAdmin takes the address of administration over HTTP, if there is to be one.
func (n *node) bindAdmin(ctx context.Context) (err error) {
	if a := n.config.AdminAddr; a.IsValid() {
		if n.http, err = new(net.ListenConfig).Listen(ctx, network("tcp", a), a.String()); err != nil {
			return explainBind("--admin", a, err)
		}
		n.teardown.addClose("admin listener", func() error { n.http.Close(); return nil })
	}
	return nil
}

func (n *node) startAdmin(reload admin.Command) (err error) {
	routes := make(map[string]http.Handler)
	switch {
	case n.member != nil:
		routes = n.member.Orders()
	case n.grower != nil:
		routes = n.grower.routes(n)
	}
	routes["POST /unlock"] = http.HandlerFunc(n.unlock)
	n.admin, err = admin.New(admin.Config{
		Routes:  routes,
		Version: versionText(), Metrics: n.metrics, Logger: n.log, Source: n.source(),
		Commands: map[string]admin.Command{"reload": reload},
	})
	if err != nil {
		return err
	}
	socket, err := listenControl(n.state.Path())
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	n.admin.ServeUnix(socket)
	if n.http != nil {
		n.admin.ServeHTTP(n.http)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.serving.Go(func() { n.admin.Run(ctx) })
	n.teardown.add("admin", func(ctx context.Context) error { cancel(); return n.admin.Shutdown(ctx) })
	return nil
}

func (n *node) startEngines(context.Context) (err error) {
	if err := n.startLocks(); err != nil {
		return err
	}
	h, c := &holder{}, &circle{}
	engine := access.Config{Locks: n.locks, Holder: h, Node: n.self, Granted: security.Granted, Fold: names.Insensitive.Key}
	data := transfer.Config{Grants: c, Guard: c, Node: n.self}
	if n.self != "" {
		engine.Holders, data.Granted = c, c.granted
		data.Alive, data.Life = func(now time.Duration) bool { return c.alive(now) }, func() uint64 { return c.life() }
		engine.Alive, engine.Life = data.Alive, func() uint64 { return c.life() }
	}
	n.access, n.moves, n.circle = access.New(engine), transfer.New(data), c
	n.recalls = &aware.Recalls{Holder: n.moves}
	h.Holder, c.Layouts, c.Guard = n.recalls, n.access, n.access
	n.faces = faces{n.access, n.moves, n.access, func(causeway.VolumeID) gate.Pass { return n.gate.Enter() }, n.records}
	n.volumes = &volumes{state: n.state, catalog: &gateway.Catalog{}, access: n.access, transfer: n.moves, log: n.log, gate: &n.gate}
	n.volumes.ended, n.volumes.end = context.WithCancel(context.Background())
	if n.volumes.stateSub, err = n.state.Sub("volumes"); err != nil {
		return err
	}
	n.guard = &export.Guard{Catalog: n.volumes.catalog}
	if n.crowd, err = newCrowd(n); err != nil {
		return err
	}
	if n.groups, err = newGroups(n.config); err != nil {
		return err
	}
	if n.groups != nil {
		n.guard.Groups = n.groups
	}
	n.teardown.addClose("volumes", func() error { return errors.Join(n.volumes.close(), n.moves.Close()) })
	return nil
}

// run serves in the background; an end that nobody asked for ends the gateway.
func (n *node) run(what string, serve func() error) {
	n.serving.Go(func() {
		if err := serve(); err != nil && !errors.Is(err, rpc.ErrServerClosed) {
			select {
			case n.failed <- fmt.Errorf("%s: %w", what, err):
			default:
			}
		}
	})
}

// stop drains and stops, within the time that ctx has.
func (n *node) stop(ctx context.Context) error {
	n.admin.Enter(admin.Draining)
	err := n.teardown.run(ctx, n.log)
	n.serving.Wait()
	return err
}

// address is where clients of this machine, or of the network, reach the gateway.
func (n *node) address() netip.AddrPort { return n.listen.addr }
