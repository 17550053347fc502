package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"causeway/cluster/address"
	"causeway/gateway/nfs/rpc"
)

// site answers clients at service addresses, which come and go.
type site struct {
	port uint16
	rpc  *rpc.Server

	mu   sync.Mutex
	open map[netip.Addr]net.Listener
	done map[netip.Addr]chan struct{}
}

var _ address.Listener = (*site)(nil)

// Listen starts to accept connections to addr.
func (s *site) Listen(addr netip.Addr) error {
	at := netip.AddrPortFrom(addr, s.port)
	l, err := (&net.ListenConfig{Control: address.Freebind}).Listen(context.Background(), network("tcp", at), at.String())
	if err != nil {
		return err
	}
	done := make(chan struct{})
	s.mu.Lock()
	s.open[addr], s.done[addr] = l, done
	s.mu.Unlock()
	go func() {
		defer close(done)
		_ = s.rpc.Serve(l) // until it is closed
	}()
	return nil
}

// Close stops that, and ends the connections that there are.
func (s *site) Close(addr netip.Addr) error {
	s.mu.Lock()
	l, done := s.open[addr], s.done[addr]
	delete(s.open, addr)
	delete(s.done, addr)
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	err := l.Close()
	<-done
	if !addr.IsLoopback() { // clients belong to the next holder, who tells them
		_, abandonErr := address.Abandon(addr)
		err = errors.Join(err, abandonErr)
	}
	s.rpc.Disconnect(addr)
	if errors.Is(err, net.ErrClosed) { // the server stops
		return nil
	}
	return err
}
