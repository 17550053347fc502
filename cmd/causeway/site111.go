package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"causeway/gateway/nfs/portmap"
)

// lead brings clients to the programs where port 111 of a service address cannot be had. An rpcbind that has it on all addresses is
// told, once: it answers at those that come later too. Nothing is registered for loopback addresses, which are for trials.
func (s *site) lead(addr netip.Addr, err error) {
	if addr.IsLoopback() || !errors.Is(err, syscall.EADDRINUSE) {
		s.said.Do(func() {
			s.log.Warn("port 111 is not answered: clients must mount with port=, mountport= and nolock", "addr", addr, "err", err)
		})
		return
	}
	s.registering.Do(func() { // rpcbind may be slow, and the address waits
		s.serving.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), registerWithin)
			defer cancel()
			s.register111(ctx, err)
		})
	})
}

// registerWithin bounds a registration with rpcbind.
const registerWithin = 10 * time.Second

func (s *site) register111(ctx context.Context, taken error) {
	r, err := portmap.Register(ctx, portmap.RegisterConfig{Services: s.services, Partial: true})
	if err != nil { // perhaps a machine without IPv6
		four := slices.Clone(s.services)
		for i := range four {
			four[i].Addr = netip.AddrPortFrom(netip.IPv4Unspecified(), s.port)
		}
		if r, err = portmap.Register(ctx, portmap.RegisterConfig{Services: four, Partial: true}); err != nil {
			s.log.Warn("port 111 is taken, and registering with the rpcbind that may own it fails: clients must mount with port=, mountport= and nolock",
				"err", errors.Join(taken, err))
			return
		}
	}
	s.mu.Lock()
	s.registration = r
	s.mu.Unlock()
	for _, other := range r.Taken() {
		s.log.Warn("another server of this host is registered with rpcbind (see: rpcinfo -p)", "program", other.Prog, "means", lackOf(other.Prog))
	}
}

// unregister takes a registration back.
func (s *site) unregister(ctx context.Context) error {
	s.mu.Lock()
	r := s.registration
	s.registration = nil
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.Close(ctx)
}
