package main

import (
	"context"
	"net/netip"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/aware"
	"causeway/gateway/replies"
)

const awareHelp = "port of aware clients (programs with the Go library causeway/client), the same at all gateways of a cluster; 0: none"

// startAware answers aware clients, if that is wanted.
func (n *node) startAware(ctx context.Context) (err error) {
	if n.config.Aware == 0 {
		return nil
	}
	answers := gateway.Access(n.faces.access)
	if n.member == nil { // in a cluster, the owner of each volume remembers
		if answers, err = replies.New(replies.Config{Access: answers}); err != nil {
			return err
		}
	}
	cfg := aware.Config{
		Access: answers, Transfer: n.faces.transfer, Catalog: n.volumes.catalog, Log: n.log, Node: n.self,
		Enter: func() interface{ Leave() } { return n.gate.Enter() },
	}
	if n.groups != nil {
		cfg.Groups = n.groups
	}
	if n.member != nil {
		cfg.Gateways, cfg.Load = n.crowd.gateways, n.crowd.load
		cfg.Epoch = func(v causeway.VolumeID) causeway.Epoch { return n.member.Routes().Now(v).Epoch }
	}
	if n.aware, err = aware.New(cfg); err != nil {
		return err
	}
	n.teardown.add("aware clients", n.aware.Shutdown)
	if n.member != nil {
		return nil // it is answered at service addresses
	}
	at := netip.AddrPortFrom(n.config.ListenAddr.Addr(), n.config.Aware)
	e, err := bind(ctx, "--aware", at)
	if err != nil {
		return err
	}
	e.packet.Close()
	n.run("aware clients", func() error { return n.aware.Serve(e.stream) })
	return nil
}
