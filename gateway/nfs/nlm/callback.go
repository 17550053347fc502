package nlm

import (
	"bytes"
	"context"
	"errors"
	"net/netip"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// Callback is a call to a client, which takes it for its server's only if it comes from the address that it has called.
type Callback struct {
	Datagram         bool
	Local, Remote    netip.Addr // from and to; Local is invalid if any will do
	Prog, Vers, Proc uint32
	Args             []byte
}

// CallClient makes a call to a client and returns what it answered, on behalf of a gateway that does not have the address Local.
// It fails with rpc.ErrProcUnavail if the client has no such procedure.
func (s *Service) CallClient(ctx context.Context, cb Callback) (result []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	network := "tcp"
	if cb.Datagram {
		network = "udp"
	}
	at, err := s.cfg.Portmap.Find(ctx, network, cb.Local, cb.Remote, cb.Prog, cb.Vers)
	if err != nil {
		return nil, err
	}
	client, err := rpc.Dial(ctx, network, netip.AddrPortFrom(cb.Local, 0), at)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	cred := rpc.ClientCred{Machine: s.cfg.Name}
	err = client.Call(ctx, cb.Prog, cb.Vers, cb.Proc, &cred, func(e *xdr.Encoder) { e.Fixed(cb.Args) }, func(d *xdr.Decoder) error {
		result = bytes.Clone(d.Rest())
		return nil
	})
	return result, err
}

// elsewhere has another gateway make a call, if that one has the address from which it must come.
func (s *Service) elsewhere(ctx context.Context, cb Callback, args func(*xdr.Encoder), reply func(*xdr.Decoder) error) (done bool, err error) {
	if s.cfg.Elsewhere == nil || !cb.Local.IsValid() {
		return false, nil
	}
	call, ok := s.cfg.Elsewhere(cb.Local)
	if !ok {
		return false, nil
	}
	if args != nil {
		var e xdr.Encoder
		args(&e)
		cb.Args = e.Bytes()
	}
	result, err := call(ctx, cb)
	if err != nil || reply == nil {
		return true, err
	}
	d := xdr.NewDecoder(result)
	if err := reply(&d); err != nil {
		return true, err
	}
	if !d.OK() {
		return true, errors.New("malformed answer of a client")
	}
	return true, nil
}
