package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
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
	changing    sync.Mutex // held by what begins and ends answering at an address

	mu           sync.Mutex
	open         map[netip.Addr]*spot
	smbMute      bool                  // SMB is not answered, while clients are sent elsewhere
	registration *portmap.Registration // with rpcbind; nil: none
}

// spot is a service address while it is answered at.
type spot struct {
	sockets []interface{ Close() error }
	smb     net.Listener   // nil: none
	serving sync.WaitGroup // who accepts connections
	packets sync.WaitGroup
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
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.listen(addr)
}

func (s *site) listen(addr netip.Addr) error {
	p, life := &spot{}, s.life()
	if err := p.stream(s.rpc, life, addr, s.port); err != nil {
		return err
	}
	if err := p.packet(s.rpc, addr, s.port); err != nil {
		s.log.Warn("no answers by UDP at a service address: clients that restart cannot say so", "addr", addr, "err", err)
	}
	if s.aware != nil {
		if err := p.stream(s.aware, life, addr, s.config.Aware); err != nil {
			s.log.Warn("no answers to aware clients at a service address", "addr", addr, "err", err)
		}
	}
	if s.maps != nil && (s.port == nfsPort || !addr.IsLoopback()) {
		if err := errors.Join(p.stream(s.maps, life, addr, portmap.Port), p.packet(s.maps, addr, portmap.Port)); err != nil {
			s.lead(addr, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.smbMute {
		s.listenSMB(p, life, addr)
	}
	s.open[addr] = p
	return nil
}

// nfsPort is where clients look for NFS that do not ask portmap.
const nfsPort = 2049

// stream answers by TCP.
func (p *spot) stream(server acceptor, life life, addr netip.Addr, port uint16) error {
	at := netip.AddrPortFrom(addr, port)
	l, err := (&net.ListenConfig{Control: address.Freebind}).Listen(context.Background(), network("tcp", at), at.String())
	if err != nil {
		return err
	}
	p.accept(server, l, life)
	return nil
}

// acceptor is a server of connections.
type acceptor interface{ Serve(net.Listener) error }

// accept lets a server have a listener until that is closed.
func (p *spot) accept(server acceptor, l net.Listener, life life) {
	p.sockets = append(p.sockets, l)
	p.serving.Go(func() { _ = server.Serve(&lived{l, life}) })
}

// lived is a listener that tells in which life of the gateway it was made: so a connection that waited in it to be accepted while the gateway
// was cut off is not taken for a new one.
type lived struct {
	net.Listener
	life
}

// life is the gateway's, and who is told of clients that come in it.
type life struct {
	number uint64
	came   func()
}

// life returns the one that has begun.
func (s *site) life() life { return life{s.member.Routes().Life(), s.member.Arrived} }

// Accept implements net.Listener. The other gateways hear of a client at once: if this one dies, they wake it.
func (l *lived) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.life.came()
	}
	return c, err
}

// Life is read by servers.
func (l *lived) Life() uint64 { return l.life.number }

// packet answers by UDP.
func (p *spot) packet(server *rpc.Server, addr netip.Addr, port uint16) error {
	at := netip.AddrPortFrom(addr, port)
	c, err := (&net.ListenConfig{Control: address.Freebind}).ListenPacket(context.Background(), network("udp", at), at.String())
	if err != nil {
		return err
	}
	p.sockets = append(p.sockets, c)
	p.packets.Go(func() { _ = server.ServePacket(c) })
	return nil
}

// Close stops that, and ends the connections that there are.
func (s *site) Close(addr netip.Addr) error {
	s.changing.Lock()
	defer s.changing.Unlock()
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
	p.packets.Wait()
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

// CutOff ends all connections that there are, and those that wait to be accepted: what was sent over them and not read yet is not done.
// Clients connect again, wherever the address is then.
func (s *site) CutOff() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	spots := maps.Clone(s.open)
	for _, p := range spots {
		if p.smb != nil {
			p.sockets = append(p.sockets, p.smb)
		}
	}
	s.mu.Unlock()
	var lost []netip.Addr
	for addr, p := range spots {
		for _, socket := range p.sockets {
			_ = socket.Close() // with what it has not accepted; it may be closed already
		}
		p.serving.Wait() // now all that were accepted are known to the servers
		if !addr.IsLoopback() {
			lost = append(lost, addr)
		}
	}
	_, _ = address.Abandon(lost...) // the next holder tells them, or this kernel when they go on
	for addr := range spots {
		s.disconnect(addr)
		s.again(addr)
	}
}

// again answers at an address anew. Its ports were this process's a moment ago.
func (s *site) again(addr netip.Addr) {
	for tries := range 10 {
		err := s.listen(addr)
		if err == nil {
			return
		}
		if tries == 0 {
			s.log.Error("no answers at a service address after this gateway was cut off", "addr", addr, "err", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
