package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
)

// startPortmap answers port 111 of the address that NFS listens on or, if rpcbind has it, registers there.
func (n *node) startPortmap(ctx context.Context) error {
	if !n.config.Portmap {
		return nil
	}
	at := netip.AddrPortFrom(n.listen.addr.Addr(), portmap.Port)
	e, err := bindOnce(ctx, at)
	if errors.Is(err, syscall.EADDRINUSE) {
		return n.register(ctx, explainBind("--portmap", at, err))
	}
	if err != nil {
		return explainBind("--portmap", at, err)
	}
	// A server of its own: what listens on port 2049 is not to be had on port 111.
	s, err := rpc.NewServer(rpc.Config{Logger: n.log, Observer: observer{n.metrics}, MaxRecord: 8 << 10, MaxConns: 1024, MaxCalls: 64})
	if err != nil {
		return errors.Join(err, e.close())
	}
	h := portmap.New(func() []portmap.Service { return n.services })
	for _, version := range []uint32{2, 3, 4} {
		s.Register(portmap.Program, version, h)
	}
	n.teardown.add("portmap", s.Shutdown)
	n.run("portmap over TCP", func() error { return s.Serve(e.stream) })
	n.run("portmap over UDP", func() error { return s.ServePacket(e.packet) })
	n.portmap = "causeway"
	return nil
}

// register leaves port 111 to the rpcbind that has it.
func (n *node) register(ctx context.Context, taken error) error {
	r, err := portmap.Register(ctx, portmap.RegisterConfig{Services: n.services})
	if errors.Is(err, portmap.ErrTaken) {
		return fmt.Errorf("%w: another NFS or lock server is registered with this host's rpcbind (see: rpcinfo -p); stop it, or do without --portmap", err)
	}
	if err != nil {
		return fmt.Errorf("%w; and registering with the rpcbind that may own it fails: %w", taken, err)
	}
	n.teardown.add("registration with rpcbind", r.Close)
	n.portmap = "rpcbind"
	return nil
}
