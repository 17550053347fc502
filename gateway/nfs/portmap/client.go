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

// ErrNotRegistered says that a host answers, but has no such program.
var ErrNotRegistered = errors.New("program not registered")

// Client asks the portmap or rpcbind of other hosts.
type Client struct {
	Port uint16 // where it listens; default 111
}

// Find returns where a program of a host listens. network is "tcp" or "udp": of the program, and of the question, which is
// then asked again by the other one, because some hosts answer by one only. local is the address to ask from, or invalid.
func (c Client) Find(ctx context.Context, network string, local, host netip.Addr, prog, vers uint32) (netip.AddrPort, error) {
	first, cancel := ctx, context.CancelFunc(func() {})
	if end, ok := ctx.Deadline(); ok { // half of the time each: packets by one may be thrown away without a word
		first, cancel = context.WithTimeout(ctx, time.Until(end)/2)
	}
	port, err := c.ask(first, network, network, local, host, prog, vers)
	cancel()
	if err != nil && !errors.Is(err, ErrNotRegistered) && ctx.Err() == nil {
		other := "udp"
		if network == "udp" {
			other = "tcp"
		}
		var again error
		if port, again = c.ask(ctx, other, network, local, host, prog, vers); again == nil {
			err = nil
		}
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("portmap of %v: %w", host, err)
	}
	return netip.AddrPortFrom(host, port), nil
}

// ask asks by one transport: version 2 for IPv4, which every host has, version 4 for IPv6.
func (c Client) ask(ctx context.Context, by, network string, local, host netip.Addr, prog, vers uint32) (port uint16, err error) {
	at := netip.AddrPortFrom(host, c.Port)
	if c.Port == 0 {
		at = netip.AddrPortFrom(host, Port)
	}
	from := netip.AddrPortFrom(local, 0)
	if host.Unmap().Is4() {
		err = rpc.CallOnce(ctx, by, from, at, Program, 2, procGetPort, nil, func(e *xdr.Encoder) {
			for _, v := range [...]uint32{prog, vers, proto(network), 0} {
				e.Uint32(v)
			}
		}, func(d *xdr.Decoder) error {
			v := d.Uint32()
			if v > 0xffff {
				d.Fail()
			}
			port = uint16(v)
			return nil
		})
	} else {
		err = rpc.CallOnce(ctx, by, from, at, Program, 4, procGetPort, nil, binding{prog, vers, network + "6", "", ""}.encode, func(d *xdr.Decoder) (err error) {
			port, err = decodePort(d)
			return err
		})
	}
	if err == nil && port == 0 {
		err = ErrNotRegistered
	}
	return port, err
}

// decodePort reads the universal address of an answer; an empty one is no address and no error.
func decodePort(d *xdr.Decoder) (uint16, error) {
	s := d.String(maxUAddr)
	if s == "" {
		return 0, nil
	}
	a, err := ParseUAddr(s)
	return a.Port(), err
}
