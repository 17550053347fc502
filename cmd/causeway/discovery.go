package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"causeway/cluster/address"
	"causeway/cmd/causeway/member"
	"causeway/discovery"
)

// dnsPort is where resolvers follow a delegation to.
const dnsPort = 53

// naming are the flags of a gateway that answers by DNS.
type naming struct {
	zone      string
	at        []string
	addresses []netip.AddrPort
}

func (f *naming) register(set *pflag.FlagSet) {
	set.StringVar(&f.zone, "zone", "", "domain that the cluster answers for, as in nas.example.com; one gateway says it, the cluster remembers it")
	set.StringArrayVar(&f.at, "dns", nil, "IP address, and port if not 53, at which this gateway answers by DNS; may be repeated")
}

func (f *naming) validate() (err error) {
	if f.zone != "" {
		if f.zone, err = discovery.CheckZone(f.zone); err != nil {
			return fmt.Errorf("--zone: %w", err)
		}
	}
	for _, text := range f.at {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			var addr netip.Addr
			addr, err = netip.ParseAddr(strings.Trim(text, "[]"))
			at = netip.AddrPortFrom(addr, dnsPort)
		}
		if err != nil || at.Addr().IsUnspecified() || at.Addr().Zone() != "" {
			return fmt.Errorf("--dns %q is not an IP address of this machine, as in 10.0.0.1 or 10.0.0.1:53", text)
		}
		f.addresses = append(f.addresses, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	}
	return nil
}

// listenDNS takes the ports. Questions are refused until the gateway has joined.
func (j *joining) listenDNS(ctx context.Context) error {
	if len(j.naming.addresses) == 0 {
		return nil
	}
	cfg := discovery.Config{Addresses: j.naming.addresses, Log: j.log.With("node", j.name),
		Fresh:  func() bool { return j.member.Valid() }, // it is there before there is something to answer
		Secret: func() [16]byte { return j.member.Secret("dns cookies") }}
	if slices.ContainsFunc(j.naming.addresses, func(at netip.AddrPort) bool { return slices.Contains(j.addresses, at.Addr()) }) {
		cfg.Control = address.Freebind // a service address comes when the gateway serves
	}
	var err error
	if j.dns, err = discovery.Listen(ctx, cfg); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("--dns: %w: another DNS server has that port (systemd-resolved, dnsmasq, named; see: ss -tulpn 'sport = :53'); take another address or port", err)
		}
		return explainBind("--dns", j.naming.addresses[0], err)
	}
	j.teardown.addClose("dns", j.dns.Close)
	return j.metrics.Registry().Register(dnsMetrics{j.dns.Stats})
}

// announced is what the cluster is told of that.
func (j *joining) announced() member.Discovery {
	return member.Discovery{Server: j.dns, Zone: j.naming.zone}
}

// services are the ports of what this gateway speaks at service addresses.
func (j *joining) services() map[string]uint16 {
	all := map[string]uint16{"nfs": j.port}
	if j.smbPort != 0 {
		all["smb"] = j.smbPort
	}
	if j.config.Aware != 0 {
		all["causeway"] = j.config.Aware
	}
	return all
}

// demoZone is under a domain that nobody can have (RFC 6761 §6.2).
const demoZone = "nas.test"

// explainDNS prints questions to copy.
func (s *stage) explainDNS(w io.Writer) {
	ask := fmt.Sprintf("dig @%v -p %d +noall +answer", s.actors[0].addr, s.dns)
	fmt.Fprintf(w, "\nAsk which gateway a client shall mount, who there is, and what is exported:\n")
	fmt.Fprintf(w, "  %s %s.%s\n  %s SRV _nfs._tcp.%s.%s\n  %s PTR _nfs._tcp.%s\n", ask, demoVolumes[0], demoZone, ask, demoVolumes[0], demoZone, ask, demoZone)
}
