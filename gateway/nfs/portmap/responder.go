package portmap

import (
	"context"
	"net/netip"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// Procedures (RFC 1833 §2.2.1, §3.2).
const (
	procNull        = 0
	procSet         = 1
	procUnset       = 2
	procGetPort     = 3 // of version 2; GETADDR of versions 3 and 4
	procDump        = 4
	procCallIt      = 5 // BCAST of version 4
	procGetVersAddr = 9 // version 4
)

// responder answers for the services that list returns.
type responder struct {
	list func() []Service
}

// New returns the handler for versions 2, 3 and 4 of [Program], on TCP and UDP. services is asked at every call; it must be
// safe for concurrent calls.
func New(services func() []Service) rpc.Handler { return &responder{services} }

// all returns the services, and first the responder itself, as rpcbind does: rpcinfo -p asks it where it is before anything else.
func (r *responder) all(c *rpc.Call) []Service {
	everywhere := netip.IPv4Unspecified()
	if c.Local.Addr().Unmap().Is6() {
		everywhere = netip.IPv6Unspecified()
	}
	var list []Service
	for _, vers := range [...]uint32{4, 3, 2} {
		for _, network := range [...]string{"tcp", "udp"} {
			list = append(list, Service{Program, vers, network, netip.AddrPortFrom(everywhere, c.Local.Port())})
		}
	}
	return append(list, r.list()...)
}

// Handle implements rpc.Handler.
func (r *responder) Handle(_ context.Context, c *rpc.Call) rpc.Verdict {
	switch {
	case c.Vers < 2 || c.Vers > 4:
		return rpc.ProcUnavail
	case c.Proc == procNull:
		return rpc.Done
	case c.Proc == procSet, c.Proc == procUnset:
		c.Reply.Bool(false)
		return rpc.Done
	case c.Proc == procCallIt:
		return rpc.Drop // a refusal is silence (RFC 1833 §2.2.1)
	case c.Proc == procDump && c.Datagram:
		return rpc.Drop // the answer is many times the question, and the question's sender may be forged
	case c.Vers == 2:
		return r.handle2(c)
	}
	return r.handle34(c)
}

// handle2 answers portmap version 2.
func (r *responder) handle2(c *rpc.Call) rpc.Verdict {
	switch c.Proc {
	case procGetPort:
		prog, vers, prot := c.Args.Uint32(), c.Args.Uint32(), c.Args.Uint32()
		c.Args.Uint32()
		if !c.Args.OK() {
			return rpc.GarbageArgs
		}
		s, _ := find(r.all(c), prog, vers, func(id string) bool { return proto(id) == prot && prot != 0 }, false)
		c.Reply.Uint32(uint32(s.Addr.Port()))
	case procDump:
		for _, s := range r.all(c) {
			for _, id := range s.netIDs() {
				if p := proto(id); p != 0 {
					c.Reply.Bool(true)
					for _, v := range [...]uint32{s.Prog, s.Vers, p, uint32(s.Addr.Port())} {
						c.Reply.Uint32(v)
					}
				}
			}
		}
		c.Reply.Bool(false)
	default:
		return rpc.ProcUnavail
	}
	return rpc.Done
}

// handle34 answers rpcbind versions 3 and 4.
func (r *responder) handle34(c *rpc.Call) rpc.Verdict {
	switch {
	case c.Proc == procGetPort, c.Proc == procGetVersAddr && c.Vers == 4:
		b := decodeBinding(&c.Args)
		if !c.Args.OK() {
			return rpc.GarbageArgs
		}
		if !knownNetID(b.netID) { // older clients leave it empty: the transport of the call counts
			b.netID = netID("tcp", c.Local.Addr())
			if c.Datagram {
				b.netID = netID("udp", c.Local.Addr())
			}
		}
		s, ok := find(r.all(c), b.prog, b.vers, func(id string) bool { return id == b.netID }, c.Proc == procGetVersAddr)
		answer := ""
		if ok {
			answer = UAddr(s.reached(b.netID, c.Local.Addr()))
		}
		c.Reply.String(answer)
	case c.Proc == procDump:
		for _, s := range r.all(c) {
			for _, id := range s.netIDs() {
				c.Reply.Bool(true)
				binding{s.Prog, s.Vers, id, UAddr(s.reached(id, netip.Addr{})), "superuser"}.encode(&c.Reply)
			}
		}
		c.Reply.Bool(false)
	default:
		return rpc.ProcUnavail
	}
	return rpc.Done
}

// find returns the service with the version, or, unless exact, another version of the program: its server tells the client
// which versions it has.
func find(list []Service, prog, vers uint32, transport func(netid string) bool, exact bool) (other Service, ok bool) {
	for _, s := range list {
		if s.Prog != prog {
			continue
		}
		for _, id := range s.netIDs() {
			if !transport(id) {
				continue
			}
			if s.Vers == vers {
				return s, true
			}
			if !exact {
				other, ok = s, true
			}
		}
	}
	return other, ok
}

// netIDs returns the transports on which a service can be reached: both families where it listens on all addresses of IPv6.
func (s Service) netIDs() []string {
	if s.Addr.Addr() == netip.IPv6Unspecified() {
		return []string{s.Network, s.Network + "6"}
	}
	return []string{netID(s.Network, s.Addr.Addr())}
}

// reached is where a client finds the service who came to local by any transport.
func (s Service) reached(id string, local netip.Addr) netip.AddrPort {
	addr := s.Addr.Addr()
	if addr.IsUnspecified() {
		six := id == s.Network+"6"
		switch {
		case local.IsValid() && local.Unmap().Is6() == six:
			addr = local
		case six:
			addr = netip.IPv6Unspecified()
		default:
			addr = netip.IPv4Unspecified()
		}
	}
	return netip.AddrPortFrom(addr, s.Addr.Port())
}

// binding is the rpcb of RFC 1833 §2.1.
type binding struct {
	prog, vers         uint32
	netID, addr, owner string
}

// decodeBinding reads a binding; its strings are views.
func decodeBinding(d *xdr.Decoder) binding {
	return binding{d.Uint32(), d.Uint32(), d.String(maxNetID), d.String(maxUAddr), d.String(maxOwner)}
}

func (b binding) encode(e *xdr.Encoder) {
	e.Uint32(b.prog)
	e.Uint32(b.vers)
	e.String(b.netID)
	e.String(b.addr)
	e.String(b.owner)
}

func knownNetID(id string) bool {
	return id == "tcp" || id == "udp" || id == "tcp6" || id == "udp6"
}
