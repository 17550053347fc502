package portmap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// ErrTaken says that another server on this host is registered for a program, and answers.
var ErrTaken = errors.New("program is registered by another server")

// RegisterConfig says what to register where.
type RegisterConfig struct {
	Services []Service
	Partial  bool           // register the rest where another server has some of them
	Socket   string         // of rpcbind; default /run/rpcbind.sock
	Addr     netip.AddrPort // of rpcbind, where there is no socket; default 127.0.0.1:111. It wants a privileged port
}

// Registration is what was registered.
type Registration struct {
	cfg   RegisterConfig
	done  []binding
	taken []Service
}

// Taken returns the services that another server has on at least one transport, and that clients find there. It is empty
// unless Partial was asked for.
func (r *Registration) Taken() []Service { return r.taken }

// Register registers services with the rpcbind of this host, all or (unless Partial) none of them. A registration that was left behind by a
// server which no longer answers is replaced. ErrTaken: somebody else serves one of the programs, as the kernel's lockd does
// for NLM while the host itself mounts NFS.
func Register(ctx context.Context, cfg RegisterConfig) (*Registration, error) {
	if cfg.Socket == "" {
		cfg.Socket = "/run/rpcbind.sock"
	}
	if !cfg.Addr.IsValid() {
		cfg.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port)
	}
	r := &Registration{cfg: cfg}
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("rpcbind: %w", err)
	}
	defer conn.Close()
	for _, s := range cfg.Services {
		for _, id := range s.netIDs() {
			b := binding{s.Prog, s.Vers, id, UAddr(s.reached(id, netip.Addr{})), ""}
			err := r.set(ctx, conn, b)
			if cfg.Partial && errors.Is(err, ErrTaken) {
				if len(r.taken) == 0 || r.taken[len(r.taken)-1] != s {
					r.taken = append(r.taken, s)
				}
				continue
			}
			if err != nil {
				return nil, errors.Join(fmt.Errorf("register program %d version %d by %s: %w", s.Prog, s.Vers, id, err), r.unset(ctx, conn))
			}
			r.done = append(r.done, b)
		}
	}
	return r, nil
}

// Close takes the registrations back.
func (r *Registration) Close(ctx context.Context) error {
	conn, err := r.dial(ctx)
	if err != nil {
		return fmt.Errorf("rpcbind: %w", err)
	}
	defer conn.Close()
	return r.unset(ctx, conn)
}

func (r *Registration) dial(ctx context.Context) (*rpc.Client, error) {
	conn, err := rpc.DialUnix(ctx, r.cfg.Socket)
	if err == nil {
		return conn, nil
	}
	conn, again := rpc.Dial(ctx, "tcp", netip.AddrPortFrom(r.cfg.Addr.Addr(), 0), r.cfg.Addr)
	if again != nil {
		return nil, errors.Join(err, again)
	}
	return conn, nil
}

// set registers one binding. rpcbind refuses where another address stands already.
func (r *Registration) set(ctx context.Context, conn *rpc.Client, b binding) error {
	ok, err := callBool(ctx, conn, procSet, b)
	if ok || err != nil {
		return err
	}
	if addr, err := lookUp(ctx, conn, b); err != nil || answers(ctx, addr, b) {
		return errors.Join(ErrTaken, err)
	}
	if ok, err = callBool(ctx, conn, procUnset, b); err == nil && ok {
		ok, err = callBool(ctx, conn, procSet, b)
	}
	if err == nil && !ok {
		err = errors.New("rpcbind refuses")
	}
	return err
}

// unset takes back what was registered; it goes on after errors.
func (r *Registration) unset(ctx context.Context, conn *rpc.Client) (errs error) {
	for _, b := range r.done {
		if ok, err := callBool(ctx, conn, procUnset, b); err != nil || !ok {
			errs = errors.Join(errs, fmt.Errorf("unregister program %d version %d by %s: refused or failed: %w", b.prog, b.vers, b.netID, err))
		}
	}
	r.done = nil
	return errs
}

func callBool(ctx context.Context, conn *rpc.Client, proc uint32, b binding) (ok bool, err error) {
	err = conn.Call(ctx, Program, 4, proc, nil, b.encode, func(d *xdr.Decoder) error {
		ok = d.Bool()
		return nil
	})
	return ok, err
}

// lookUp returns what is registered for the same program, version and transport. rpcbind gives the address at which the caller
// would reach it.
func lookUp(ctx context.Context, conn *rpc.Client, b binding) (addr netip.AddrPort, err error) {
	err = conn.Call(ctx, Program, 4, procDump, nil, nil, func(d *xdr.Decoder) error {
		for d.Bool() {
			if at := decodeBinding(d); at.prog == b.prog && at.vers == b.vers && at.netID == b.netID {
				addr, _ = ParseUAddr(at.addr)
			}
		}
		return nil
	})
	return addr, err
}

// answers reports whether a server for the binding's program lives at an address of this host.
func answers(ctx context.Context, addr netip.AddrPort, b binding) bool {
	if !addr.IsValid() {
		return false
	}
	if addr.Addr().IsUnspecified() {
		loopback := netip.IPv6Loopback()
		if addr.Addr().Is4() {
			loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		addr = netip.AddrPortFrom(loopback, addr.Port())
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return rpc.CallOnce(ctx, b.netID[:3], netip.AddrPort{}, addr, b.prog, b.vers, procNull, nil, nil, nil) == nil
}
