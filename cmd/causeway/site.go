package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"causeway/cluster/address"
	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
)

// site answers clients at service addresses, which come and go.
type site struct {
	*node
	port    uint16
	smbPort uint16      // 0: SMB is not answered
	maps    *rpc.Server // port 111; nil: not answered

	registering sync.Once
	said        sync.Once

	mu           sync.Mutex
	open         map[netip.Addr]*spot
	smbMute      bool                  // SMB is not answered, while clients are sent elsewhere
	registration *portmap.Registration // with rpcbind; nil: none
}

// spot is a service address while it is answered at.
type spot struct {
	sockets []interface{ Close() error }
	smb     net.Listener // nil: none
	serving sync.WaitGroup
}

var _ address.Listener = (*site)(nil)

// newSite returns a site that answers nowhere yet. Programs are offered at its port.
func newSite(n *node, port uint16) *site {
	n.offered = netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	return &site{node: n, port: port, open: map[netip.Addr]*spot{}}
}

// start is for when the programs are there.
func (s *site) start() (err error) {
	if !s.config.Portmap {
		return nil
	}
	if s.maps, err = s.newPortmap(); err != nil {
		return err
	}
	s.teardown.add("portmap", s.maps.Shutdown)
	s.teardown.add("registration with rpcbind", s.unregister)
	return nil
}

// Listen starts to answer at addr. Without TCP at the port of NFS that is an error, without the rest it is a pity.
func (s *site) Listen(addr netip.Addr) error {
	p := &spot{}
	if err := p.stream(s.rpc, addr, s.port); err != nil {
		return err
	}
	if err := p.packet(s.rpc, addr, s.port); err != nil {
		s.log.Warn("no answers by UDP at a service address: clients that restart cannot say so", "addr", addr, "err", err)
	}
	if s.aware != nil {
		if err := p.stream(s.aware, addr, s.config.Aware); err != nil {
			s.log.Warn("no answers to aware clients at a service address", "addr", addr, "err", err)
		}
	}
	if s.maps != nil && (s.port == nfsPort || !addr.IsLoopback()) {
		if err := errors.Join(p.stream(s.maps, addr, portmap.Port), p.packet(s.maps, addr, portmap.Port)); err != nil {
			s.lead(addr, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.smbMute {
		s.listenSMB(p, addr)
	}
	s.open[addr] = p
	return nil
}

// nfsPort is where clients look for NFS that do not ask portmap.
const nfsPort = 2049

// stream answers by TCP.
func (p *spot) stream(server interface{ Serve(net.Listener) error }, addr netip.Addr, port uint16) error {
	at := netip.AddrPortFrom(addr, port)
	l, err := (&net.ListenConfig{Control: address.Freebind}).Listen(context.Background(), network("tcp", at), at.String())
	if err != nil {
		return err
	}
	p.sockets = append(p.sockets, l)
	p.serving.Go(func() { _ = server.Serve(l) }) // until it is closed
	return nil
}

// packet answers by UDP.
func (p *spot) packet(server *rpc.Server, addr netip.Addr, port uint16) error {
	at := netip.AddrPortFrom(addr, port)
	c, err := (&net.ListenConfig{Control: address.Freebind}).ListenPacket(context.Background(), network("udp", at), at.String())
	if err != nil {
		return err
	}
	p.sockets = append(p.sockets, c)
	p.serving.Go(func() { _ = server.ServePacket(c) })
	return nil
}

// Close stops that, and ends the connections that there are.
func (s *site) Close(addr netip.Addr) error {
	s.mu.Lock()
	p := s.open[addr]
	delete(s.open, addr)
	if p != nil && p.smb != nil {
		p.sockets = append(p.sockets, p.smb)
	}
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	var err error
	for _, socket := range p.sockets {
		if closeErr := socket.Close(); !errors.Is(closeErr, net.ErrClosed) { // the server stops
			err = errors.Join(err, closeErr)
		}
	}
	p.serving.Wait()
	if !addr.IsLoopback() { // clients belong to the next holder, who tells them
		_, abandonErr := address.Abandon(addr)
		err = errors.Join(err, abandonErr)
	}
	s.disconnect(addr)
	ctx, cancel := context.WithTimeout(context.Background(), endsWithin)
	defer cancel()
	s.rpc.Await(ctx, addr) // what has begun is done before the next holder is asked to do it again
	return err
}

// endsWithin is how long calls that run keep an address.
const endsWithin = time.Second

func (s *site) disconnect(addr netip.Addr) {
	s.rpc.Disconnect(addr)
	s.smb.disconnect(addr)
	if s.aware != nil {
		s.aware.Disconnect(addr)
	}
	if s.maps != nil {
		s.maps.Disconnect(addr)
	}
}

// CutOff ends all connections that there are: what was sent over them and not read yet is not done. Clients connect again, wherever the
// address is then.
func (s *site) CutOff() {
	s.mu.Lock()
	addrs := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, addr := range addrs {
		if !addr.IsLoopback() {
			_, _ = address.Abandon(addr) // the next holder tells them, or this kernel when they go on
		}
		s.disconnect(addr)
	}
}
