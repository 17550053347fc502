package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"causeway/admin"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/state"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/v3"
	"causeway/gateway/transfer"
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
	http     net.Listener // nil: none
	rpc      *rpc.Server
	locks    *lockmgr.Manager
	volumes  *volumes
	mounts   *mount.Server
	guard    *export.Guard
	access   *access.Engine
	moves    *transfer.Engine
	up       atomic.Bool       // all of the above is set
	services []portmap.Service // what is offered
	portmap  string            // who answers port 111: "", "causeway" or "rpcbind"

	teardown teardown
	serving  sync.WaitGroup
	failed   chan error // what stopped serving by itself
}

// holder breaks the circle between access, which recalls grants, and transfer, which asks for them.
type holder struct{ gateway.Holder }

// start makes a gateway and serves. What was started when a step fails is stopped again.
func start(ctx context.Context, c *config.Config, log *slog.Logger, reload admin.Command) (*node, error) {
	n := &node{config: c, log: log, metrics: newMetrics(), failed: make(chan error, 1)}
	for _, step := range []func(context.Context) error{
		n.openState,
		n.bind,
		func(context.Context) error { return n.startAdmin(reload) },
		n.startEngines,
		func(ctx context.Context) error { return n.volumes.apply(ctx, c.Volumes) },
		n.startRPC,
		n.startPortmap,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, n.teardown.run(context.WithoutCancel(ctx), log))
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
		return explainState(path, err)
	}
	n.teardown.addClose("state", n.state.Close)
	return nil
}

func explainState(path string, err error) error {
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
	n.teardown.addClose("listeners", func() error { n.listen.close(); return nil }) // twice: the RPC server closes them too
	if a := n.config.AdminAddr; a.IsValid() {
		if n.http, err = new(net.ListenConfig).Listen(ctx, network("tcp", a), a.String()); err != nil {
			return explainBind("--admin", a, err)
		}
		n.teardown.addClose("admin listener", func() error { n.http.Close(); return nil })
	}
	return nil
}

func (n *node) startAdmin(reload admin.Command) (err error) {
	n.admin, err = admin.New(admin.Config{
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
	if n.locks, err = lockmgr.New(lockmgr.Config{Grace: max(n.config.GracePeriod, time.Second), Log: n.log}); err != nil {
		return err
	}
	n.teardown.addClose("locks", func() error { n.locks.Close(); return nil })
	h := &holder{}
	n.access = access.New(access.Config{Locks: n.locks, Holder: h})
	n.moves = transfer.New(transfer.Config{Grants: n.access, Logger: n.log})
	h.Holder = n.moves
	n.volumes = &volumes{state: n.state, catalog: &gateway.Catalog{}, access: n.access, transfer: n.moves, log: n.log}
	if n.volumes.stateSub, err = n.state.Sub("volumes"); err != nil {
		return err
	}
	n.guard = &export.Guard{Catalog: n.volumes.catalog}
	n.teardown.addClose("volumes", func() error { return errors.Join(n.volumes.close(), n.moves.Close()) })
	return nil
}

func (n *node) startRPC(context.Context) (err error) {
	if n.rpc, err = rpc.NewServer(rpc.Config{Logger: n.log, Observer: observer{n.metrics}}); err != nil {
		return err
	}
	boot := n.state.Boot()
	replies, err := drc.New(drc.Config{Secret: boot.Instance})
	if err != nil {
		return err
	}
	nfs, err := v3.New(v3.Config{Guard: n.guard, Access: n.access, Transfer: n.moves, Replies: replies, Log: n.log})
	if err != nil {
		return err
	}
	n.offer(answered{nfs, n.metrics}, 100003, []uint32{3}, "tcp")
	if n.mounts, err = mount.New(mount.Config{Guard: n.guard, Access: n.access}); err != nil {
		return err
	}
	n.offer(n.mounts, mount.Program, []uint32{mount.Version1, mount.Version3}, "tcp", "udp")
	n.teardown.add("rpc", n.rpc.Shutdown)
	n.run("rpc over TCP", func() error { return n.rpc.Serve(n.listen.stream) })
	n.run("rpc over UDP", func() error { return n.rpc.ServePacket(n.listen.packet) })
	return nil
}

// offer registers a program, and remembers what portmap will say of it.
func (n *node) offer(h rpc.Handler, prog uint32, versions []uint32, networks ...string) {
	for _, v := range versions {
		n.rpc.Register(prog, v, h)
		for _, network := range networks {
			n.services = append(n.services, portmap.Service{Prog: prog, Vers: v, Network: network, Addr: n.listen.addr})
		}
	}
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
