package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// endpoint is a port of TCP and the same of UDP.
type endpoint struct {
	addr   netip.AddrPort // with the port that the kernel chose, if it was asked to
	stream net.Listener
	packet net.PacketConn
}

// bind listens on TCP and on the same port of UDP. With port 0 it takes one that is free for both.
func bind(ctx context.Context, flag string, addr netip.AddrPort) (*endpoint, error) {
	for try := 0; ; try++ {
		e, err := bindOnce(ctx, addr)
		if err == nil {
			return e, nil
		}
		if addr.Port() != 0 || try == 20 {
			return nil, explainBind(flag, addr, err)
		}
	}
}

func bindOnce(ctx context.Context, addr netip.AddrPort) (*endpoint, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true}}
	stream, err := config.Listen(ctx, network("tcp", addr), addr.String())
	if err != nil {
		return nil, err
	}
	at := stream.Addr().(*net.TCPAddr).AddrPort()
	packet, err := config.ListenPacket(ctx, network("udp", addr), netip.AddrPortFrom(addr.Addr(), at.Port()).String())
	if err != nil {
		stream.Close()
		return nil, err
	}
	return &endpoint{netip.AddrPortFrom(addr.Addr(), at.Port()), stream, packet}, nil
}

// network keeps 0.0.0.0 to IPv4; [::] is both.
func network(name string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return name + "4"
	}
	return name
}

func (e *endpoint) close() error { return errors.Join(e.stream.Close(), e.packet.Close()) }

// explainBind says what can be done about an address that cannot be had.
func explainBind(flag string, addr netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s %v is in use: another causeway, another NFS server or rpcbind has that port (see: ss -tulpn 'sport = :%d'); "+
			"stop it or %s", flag, addr, addr.Port(), otherPort(flag, addr))
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s %v: only root may listen on ports below 1024; run as root, or grant it with: "+
			"setcap cap_net_bind_service=+ep $(command -v causeway)", flag, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s %v: this machine does not have that address (see: ip address)", flag, addr)
	}
	return fmt.Errorf("%s %v: %w", flag, addr, err)
}

// otherPort says how to do without the port.
func otherPort(flag string, addr netip.AddrPort) string {
	if flag == "--portmap" {
		return "do without --portmap: clients then mount with port= and mountport="
	}
	return fmt.Sprintf("take another port with %s %v", flag, netip.AddrPortFrom(addr.Addr(), addr.Port()%50000+10000))
}
