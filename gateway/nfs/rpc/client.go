package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"causeway/gateway/nfs/xdr"
)

// maxReply bounds what a client takes as a reply, in bytes: its callers are callbacks and registrations.
const maxReply = 64 << 10

// firstRetry is when a call by UDP is sent again; the pause doubles up to maxRetry.
const (
	firstRetry = 500 * time.Millisecond
	maxRetry   = 8 * time.Second
)

// Errors of calls that the server rejected. They are wrapped with what was called.
var (
	ErrProgUnavail  = errors.New("program unavailable")
	ErrProgMismatch = errors.New("version of the program not supported")
	ErrProcUnavail  = errors.New("procedure unavailable")
	ErrGarbageArgs  = errors.New("arguments not understood")
	ErrSystem       = errors.New("system error at the server")
	ErrRPCMismatch  = errors.New("version of RPC not supported")
	ErrAuth         = errors.New("credential rejected")
	ErrBadReply     = errors.New("malformed reply")
)

// ClientCred is an AUTH_SYS credential (RFC 5531, appendix A): at most 255 bytes of machine name and 16 groups are sent.
type ClientCred struct {
	Machine  string
	UID, GID uint32
	Groups   []uint32
}

// Client calls programs of one server, one call at a time; others wait.
type Client struct {
	network string

	mu  sync.Mutex
	nc  net.Conn
	xid uint32
	bad error // the stream is out of step
	in  []byte
}

// Dial connects to a server by "tcp" or "udp". local may be the zero AddrPort; with an address and port 0, the superuser gets a
// reserved port (512..1023) where one is free, as peers of the 1980s ask for.
func Dial(ctx context.Context, network string, local, remote netip.AddrPort) (*Client, error) {
	if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return nil, net.UnknownNetworkError(network)
	}
	if local.Port() == 0 && os.Geteuid() == 0 {
		if c, err := dialReserved(ctx, network, local, remote); err == nil || !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return c, err
		}
	}
	return dialFrom(ctx, network, local, remote)
}

// dialReserved tries some reserved ports, from a random one on.
func dialReserved(ctx context.Context, network string, local, remote netip.AddrPort) (c *Client, err error) {
	const low, n = 600, 424
	addr := local.Addr()
	if !addr.IsValid() {
		addr = netip.IPv6Unspecified()
		if remote.Addr().Unmap().Is4() {
			addr = netip.IPv4Unspecified()
		}
	}
	at := rand.IntN(n)
	for i := range 32 {
		port := uint16(low + (at+i)%n)
		c, err = dialFrom(ctx, network, netip.AddrPortFrom(addr, port), remote)
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return c, err
		}
	}
	return nil, err
}

func dialFrom(ctx context.Context, network string, local, remote netip.AddrPort) (*Client, error) {
	d := net.Dialer{}
	if local.Addr().IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(local)
		if strings.HasPrefix(network, "udp") {
			d.LocalAddr = net.UDPAddrFromAddrPort(local)
		}
	}
	nc, err := d.DialContext(ctx, network, remote.String())
	if err != nil {
		return nil, err
	}
	return &Client{network: network, nc: nc, xid: rand.Uint32()}, nil
}

// Close closes the connection; a call under way fails.
func (c *Client) Close() error { return c.nc.Close() }

// LocalAddr is the client's own address.
func (c *Client) LocalAddr() netip.AddrPort { return addrPort(c.nc.LocalAddr()) }

// Call calls a procedure and waits for its reply until ctx ends; by UDP it is sent again meanwhile. cred may be nil (AUTH_NONE),
// args and reply too. reply decodes the result; what it borrows is good until it returns. A reply of more than 64 KiB is an error.
func (c *Client) Call(ctx context.Context, prog, vers, proc uint32, cred *ClientCred, args func(*xdr.Encoder), reply func(*xdr.Decoder) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bad != nil {
		return c.bad
	}
	c.xid++
	e := xdr.NewEncoder(make([]byte, 0, 512))
	e.Uint32(0)
	encodeCall(&e, c.xid, prog, vers, proc, cred)
	if args != nil {
		args(&e)
	}
	record, err := c.exchange(ctx, e)
	if err == nil {
		err = decodeReply(record, reply)
	}
	if err != nil {
		return fmt.Errorf("rpc call %d.%d.%d: %w", prog, vers, proc, err)
	}
	return nil
}

// encodeCall writes a call's header (RFC 5531 §9).
func encodeCall(e *xdr.Encoder, xid, prog, vers, proc uint32, cred *ClientCred) {
	for _, v := range [...]uint32{xid, msgCall, version, prog, vers, proc} {
		e.Uint32(v)
	}
	if cred == nil {
		e.Uint64(0)
	} else {
		e.Uint32(uint32(AuthSys))
		at := e.Len()
		e.Uint32(0)
		e.Uint32(xid) // stamp
		e.String(cred.Machine[:min(len(cred.Machine), maxMachine)])
		e.Uint32(cred.UID)
		e.Uint32(cred.GID)
		groups := cred.Groups[:min(len(cred.Groups), maxGroups)]
		e.Uint32(uint32(len(groups)))
		for _, g := range groups {
			e.Uint32(g)
		}
		e.PatchUint32(at, uint32(e.Len()-at-4))
	}
	e.Uint64(0) // verifier: AUTH_NONE
}

// decodeReply reads the header of a reply whose xid matched, and lets reply read the result.
func decodeReply(record []byte, reply func(*xdr.Decoder) error) error {
	d := xdr.NewDecoder(record)
	d.Uint32() // xid
	d.Uint32() // REPLY
	switch d.Uint32() {
	case replyAccepted:
		d.Uint32()
		d.Opaque(maxAuthBody)
	case replyDenied:
		if d.Uint32() == rejectMismatch {
			return ErrRPCMismatch
		}
		return fmt.Errorf("%w (auth_stat %d)", ErrAuth, d.Uint32())
	default:
		return ErrBadReply
	}
	stat := d.Uint32()
	if !d.OK() {
		return ErrBadReply
	}
	if err, failed := acceptErrors[stat]; failed {
		return err
	}
	if stat != acceptSuccess {
		return ErrBadReply
	}
	if reply == nil {
		return nil
	}
	if err := reply(&d); err != nil {
		return err
	}
	if !d.OK() {
		return ErrBadReply
	}
	return nil
}

var acceptErrors = map[uint32]error{
	acceptProgUnavail: ErrProgUnavail, acceptProgMismatch: ErrProgMismatch, acceptProcUnavail: ErrProcUnavail,
	acceptGarbageArgs: ErrGarbageArgs, acceptSystemErr: ErrSystem,
}
