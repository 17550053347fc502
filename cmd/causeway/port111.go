package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"causeway/gateway/nfs/nlm"
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
	s, err := n.newPortmap()
	if err != nil {
		return errors.Join(err, e.close())
	}
	n.teardown.add("portmap", s.Shutdown)
	n.run("portmap over TCP", func() error { return s.Serve(e.stream) })
	n.run("portmap over UDP", func() error { return s.ServePacket(e.packet) })
	n.portmap = "causeway"
	return nil
}

// newPortmap returns a server of its own: what listens on port 2049 is not to be had on port 111.
func (n *node) newPortmap() (*rpc.Server, error) {
	s, err := rpc.NewServer(rpc.Config{Logger: n.log, Observer: observer{n.metrics}, MaxRecord: 8 << 10, MaxConns: 1024, MaxCalls: 64})
	if err != nil {
		return nil, err
	}
	h := portmap.New(func() []portmap.Service { return n.services })
	for _, version := range []uint32{2, 3, 4} {
		s.Register(portmap.Program, version, h)
	}
	return s, nil
}

// register leaves port 111 to the rpcbind that has it. What another server of this host has there stays with it.
func (n *node) register(ctx context.Context, taken error) error {
	r, err := portmap.Register(ctx, portmap.RegisterConfig{Services: n.services, Partial: true})
	if err != nil {
		return fmt.Errorf("%w; and registering with the rpcbind that may own it fails: %w", taken, err)
	}
	n.teardown.add("registration with rpcbind", r.Close)
	n.portmap = "rpcbind"
	n.lacking = map[uint32]bool{}
	for _, s := range r.Taken() {
		if !n.lacking[s.Prog] {
			n.log.Warn("another server of this host is registered with rpcbind (see: rpcinfo -p)", "program", s.Prog, "means", lackOf(s.Prog))
		}
		n.lacking[s.Prog] = true
	}
	return nil
}

// lackOf is what it means for clients that port 111 leads them to another server of a program.
func lackOf(program uint32) string {
	switch program {
	case nlm.Program:
		return "clients send their locks there, where they fail: while this host mounts NFS itself, its kernel has that place. " +
			"Clients must mount with nolock, or this host must mount nothing and causeway start again"
	case nlm.NSMProgram:
		return "clients that restart tell it to that server (rpc.statd), so their locks here stay until they lock again. " +
			"Stop rpc-statd on this host and start causeway again"
	}
	return "clients that ask for it find the other server: they must mount with port= and mountport="
}
