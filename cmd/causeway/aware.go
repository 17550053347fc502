package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"causeway"
	"causeway/cmd/causeway/config"
	"causeway/gateway"
	"causeway/gateway/aware"
	"causeway/gateway/replies"
)

const awareHelp = "port of aware clients (programs with the Go library causeway/client), the same at all gateways of a cluster; 0: none"

// awareFlags are those of aware clients, and of what moves them.
func awareFlags(set *pflag.FlagSet, c *config.Config) {
	set.Uint16Var(&c.Aware, "aware", 0, awareHelp)
	set.StringVar(&c.AwareTLS, "aware-tls", "", "CERT,KEY: files in PEM with which aware clients are answered in TLS; read again for each connection")
	set.StringVar(&c.AwareUnix, "aware-unix", "", "socket at which programs on this machine that use the library borrow files for reading (/run/causeway/aware.sock is where they look); empty: none")
	set.Uint32Var(&c.LinkSpeed, "link-speed", 0, "Mbit/s that each network interface carries, where the kernel does not know it, as in many virtual machines")
	set.BoolVar(&c.SharedCPU, "shared-cpu", false, "leave the machine's processors out of how busy this gateway is: others use them too")
}

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
	if cfg.TLS, err = awareTLS(n.config.AwareTLS); err != nil {
		return err
	}
	if n.member != nil {
		cfg.Gateways, cfg.Load, cfg.WaysOff, cfg.Sees, cfg.Mirrors = n.crowd.gateways, n.crowd.load, n.crowd.waysOff, n.crowd.sees, n.crowd.mirrors
		cfg.Epoch = func(v causeway.VolumeID) causeway.Epoch { return n.member.Routes().Now(v).Epoch }
	}
	if n.aware, err = aware.New(cfg); err != nil {
		return err
	}
	n.teardown.add("aware clients", n.aware.Shutdown)
	if err := n.startLending(); err != nil {
		return err
	}
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

// startLending lends programs on this machine the files that they read, if that is wanted.
func (n *node) startLending() error {
	if n.config.AwareUnix == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(n.config.AwareUnix), 0o755); err != nil {
		return fmt.Errorf("--aware-unix: %w", err)
	}
	lender := n.aware.NewLender()
	l, err := lender.Listen(n.config.AwareUnix)
	if err != nil {
		return fmt.Errorf("--aware-unix: %w", err)
	}
	n.recalls.Tell(lender)
	n.run("programs on this machine", func() error { return lender.Serve(l) })
	return nil
}

// awareTLS reads a certificate and its key. They are read again for each connection, so that a renewed one counts at once.
func awareTLS(files string) (*tls.Config, error) {
	if files == "" {
		return nil, nil
	}
	cert, key, ok := strings.Cut(files, ",")
	if !ok {
		return nil, fmt.Errorf("--aware-tls %q: two files are needed, CERT,KEY", files)
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("--aware-tls: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		return &pair, err
	}}, nil
}
