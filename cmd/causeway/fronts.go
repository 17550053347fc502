package main

import (
	"context"
	"slices"
	"time"

	"causeway"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/mount"
	"causeway/gateway/nfs/nlm"
	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/v3"
	"causeway/internal/gate"
	"causeway/lockmgr"
)

// nfsProgram is the number of NFS (RFC 1813 §3).
const nfsProgram = 100003

// startLocks makes the lock manager, with a grace period if clients held locks when the gateway stopped.
func (n *node) startLocks() (err error) {
	dir, err := n.state.Sub("nlm")
	if err != nil {
		return err
	}
	if n.records, err = nlm.OpenStateDir(dir); err != nil {
		return err
	}
	config := lockmgr.Config{Grace: n.config.GracePeriod, Log: n.log}
	if n.config.GracePeriod > 0 {
		for _, r := range n.records.Known() {
			config.Known = append(config.Known, lockmgr.Client{Kind: causeway.OwnerNLM, Name: r.Client()})
		}
	}
	n.grace = time.Now().Add(n.config.GracePeriod)
	if n.locks, err = lockmgr.New(config); err != nil {
		return err
	}
	n.teardown.addClose("locks", func() error { n.locks.Close(); return nil })
	return nil
}

// callsEndWithin bounds how long a gateway that has left its cluster waits for calls. Those that are left wait for volumes that are
// elsewhere by now, where their clients are too.
const callsEndWithin = 300 * time.Millisecond

// stopRPC lets calls finish, and their replies be sent, if there is somebody to take them.
func (n *node) stopRPC(ctx context.Context) error {
	if n.member == nil {
		return n.rpc.Shutdown(ctx)
	}
	short, cancel := context.WithTimeout(ctx, callsEndWithin)
	defer cancel()
	if err := n.rpc.Shutdown(short); ctx.Err() != nil {
		return err
	}
	return nil
}

// startFronts makes the RPC server and its programs.
func (n *node) startFronts(context.Context) (err error) {
	if n.rpc, err = rpc.NewServer(rpc.Config{Logger: n.log, Observer: observer{n.metrics}, MaxConns: connections()}); err != nil {
		return err
	}
	n.teardown.add("rpc", n.stopRPC)
	if n.replies, err = drc.New(drc.Config{Secret: n.secret()}); err != nil {
		return err
	}
	nfs, err := v3.New(v3.Config{
		Guard: n.guard, Access: n.faces.access, Transfer: n.faces.transfer, Persist: n.faces.persist, Enter: n.faces.enter,
		Replies: n.replies, Log: n.log,
	})
	if err != nil {
		return err
	}
	if n.mounts, err = mount.New(mount.Config{Guard: n.guard, Access: n.faces.access}); err != nil {
		return err
	}
	n.nlm, err = nlm.New(nlm.Config{
		Locker: n.faces.access, Guard: n.guard, Records: n.faces.clients, Log: n.log,
		Told: func(client string) {
			n.locks.Told(lockmgr.Client{Kind: causeway.OwnerNLM, Name: client})
			if n.member != nil {
				n.member.Told(client)
			}
		},
	})
	if err != nil {
		return err
	}
	n.offer(passing{measured{answered{nfs, n.metrics}, n.volumes, n.crowd.book}, &n.gate}, nfsProgram, []uint32{3}, "tcp")
	n.offer(passing{n.mounts, &n.gate}, mount.Program, []uint32{mount.Version1, mount.Version3}, "tcp", "udp")
	n.offer(passing{n.nlm, &n.gate}, nlm.Program, []uint32{1, 3, 4}, "tcp")
	n.offer(n.nlm.NSM(), nlm.NSMProgram, []uint32{1}, "tcp", "udp")
	return nil
}

// streamOnly answers calls that come by TCP. Who may do what goes by the client's address, and the sender of a datagram is
// whoever he says he is.
type streamOnly struct{ rpc.Handler }

// Handle refuses datagrams.
func (s streamOnly) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	if c.Datagram {
		return rpc.ProcUnavail
	}
	return s.Handler.Handle(ctx, c)
}

// passing lets calls through the gate, so that what they use is not closed under them.
type passing struct {
	rpc.Handler
	gate *gate.Gate
}

// Handle passes the call on.
func (p passing) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	inside := p.gate.Enter()
	defer inside.Leave()
	return p.Handler.Handle(ctx, c)
}

// offer registers a program, and remembers what portmap will say of it.
func (n *node) offer(h rpc.Handler, prog uint32, versions []uint32, networks ...string) {
	if !slices.Contains(networks, "udp") {
		h = streamOnly{h}
	}
	for _, v := range versions {
		n.rpc.Register(prog, v, h)
		for _, network := range networks {
			n.services = append(n.services, portmap.Service{Prog: prog, Vers: v, Network: network, Addr: n.offered})
		}
	}
}

// secret is the key by which retransmissions are recognised: in a cluster, the same at all gateways.
func (n *node) secret() [16]byte {
	if n.member != nil {
		return n.member.Secret("replies")
	}
	return n.state.Boot().Instance
}

// serve begins to answer on what was bound.
func (n *node) serve(context.Context) error {
	n.run("rpc over TCP", func() error { return n.rpc.Serve(n.listen.stream) })
	n.run("rpc over UDP", func() error { return n.rpc.ServePacket(n.listen.packet) })
	n.serveSMB()
	return nil
}

// startCallbacks tells clients that the gateway was gone. They answer at once, so it comes last.
func (n *node) startCallbacks(context.Context) error {
	n.nlm.Start()
	n.teardown.addClose("callbacks", func() error { n.nlm.Close(); return nil })
	return nil
}
