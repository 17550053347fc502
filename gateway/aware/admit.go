package aware

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
)

// reservedPorts is the first port that needs no privilege (IPPORT_RESERVED).
const reservedPorts = 1024

var errPort = &causeway.Error{Op: "aware", Code: causeway.ErrAccess, Err: errors.New("the export rule for this client's address is secure: it wants a port below 1024")}

// maxGroups is how many groups a client may claim: Linux's NGROUPS_MAX.
const maxGroups = 64 << 10

// guarded takes a slot for each call, so that memory is bounded, and turns a panic into the call's failure.
func (s *Server) guarded(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (reply any, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.cfg.Log.Error("a call of an aware client panicked", "op", info.FullMethod, "err", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "panic")
		}
	}()
	switch req.(type) {
	case *clientpb.PingRequest, *clientpb.RenewRequest: // they use nothing
		return handle(ctx, req)
	case *clientpb.LockRequest: // it may wait for long, and takes a slot when it does not
		return handle(ctx, req)
	}
	var bytes *hold
	if n := answers(req, info); n > 0 { // before it takes a slot, which others need
		from, _ := remote(ctx)
		if bytes, err = s.unsent.reserve(ctx, from, n, s.cfg.Now()); err != nil {
			return later(req), nil
		}
	}
	defer func() {
		if bytes != nil && reply == nil {
			bytes.release()
		}
	}()
	err = s.brief(ctx, func() (err error) { reply, err = handle(ctx, req); return err })
	if bytes != nil && err == nil {
		reply = &held{reply, bytes}
	} else if err != nil {
		reply = nil
	}
	return reply, err
}

// answers is how many bytes the answer to a call may have; 0: few.
func answers(req any, info *grpc.UnaryServerInfo) int {
	switch r := req.(type) {
	case *clientpb.ReadRequest:
		return int(min(r.Count, causeway.MaxTransfer))
	case *clientpb.Request:
		if info.FullMethod == clientpb.Files_ReadDir_FullMethodName {
			return maxListing
		}
	}
	return 0
}

// later answers that a call shall be made again.
func later(req any) any {
	if _, ok := req.(*clientpb.ReadRequest); ok {
		return &clientpb.ReadReply{Code: uint32(causeway.ErrDelay)}
	}
	return &clientpb.Reply{Code: uint32(causeway.ErrDelay)}
}

// brief does what does not wait for other clients: with a slot, and as a user of the volumes.
func (s *Server) brief(ctx context.Context, do func() error) error {
	from, _ := remote(ctx) // none: of this gateway itself, or of a program on its host
	p, err := s.slots.take(ctx, from.Addr())
	if err != nil {
		return status.FromContextError(err).Err()
	}
	defer s.slots.release(from.Addr(), p)
	if ctx.Err() != nil { // its client has had it done elsewhere by now: done late, it would undo what came after
		return status.FromContextError(ctx.Err()).Err()
	}
	defer s.cfg.Enter().Leave()
	return do()
}

// remote is the address of who calls.
func remote(ctx context.Context) (netip.AddrPort, bool) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return netip.AddrPort{}, false
	}
	a, ok := from.Addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	at := a.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), true
}

// admitVolume decides who the caller is in a volume. It fails with ErrAccess if the volume is not exported to him.
func (s *Server) admitVolume(ctx context.Context, claimed *clientpb.Caller, v *causeway.Volume) (*gateway.Caller, error) {
	from, ok := remote(ctx)
	if !ok {
		return nil, causeway.ErrAccess
	}
	rule := v.Rule(from.Addr())
	if rule == nil {
		return nil, causeway.ErrAccess
	}
	if rule.Secure && from.Port() >= reservedPorts {
		return nil, errPort
	}
	c := &gateway.Caller{Client: from.Addr(), ReadOnly: rule.ReadOnly || v.ReadOnly}
	if claimed == nil {
		rule.Anonymous(&c.Cred)
		return c, nil
	}
	if len(claimed.Groups) > maxGroups {
		return nil, causeway.ErrInval
	}
	c.Cred = causeway.Cred{UID: claimed.Uid, GID: claimed.Gid, Groups: append([]uint32(nil), claimed.Groups...)}
	if s.cfg.Groups != nil && rule.Squash != causeway.AllSquash {
		if known, err := s.cfg.Groups.Groups(claimed.Uid, false); err == nil {
			c.Cred.Groups = append([]uint32(nil), known...)
		}
	}
	rule.Apply(&c.Cred)
	s.use(who{from.Addr(), clientID(claimed)}, v.Name)
	return c, nil
}

// admit parses a handle and decides who the caller is. Errors are those of the NFS front.
func (s *Server) admit(ctx context.Context, claimed *clientpb.Caller, wire []byte) (*gateway.Caller, causeway.Handle, *causeway.Volume, error) {
	h, v, err := fh.Parse(wire, s.cfg.Catalog)
	if err != nil {
		return nil, causeway.Handle{}, nil, err
	}
	c, err := s.admitVolume(ctx, claimed, v)
	if err != nil {
		return nil, causeway.Handle{}, nil, err
	}
	return c, h, v, nil
}

// clientID is what the client calls itself; zero if that is none.
func clientID(c *clientpb.Caller) (id [16]byte) {
	if b := c.GetClient(); len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

// named puts the name of the call into its caller. A change without one may be done twice when it is repeated, so it is refused.
func named(c *gateway.Caller, op []byte) error {
	if len(op) != len(c.Op) {
		return causeway.ErrInval
	}
	copy(c.Op[:], op)
	if c.Op == (causeway.OpID{}) {
		return causeway.ErrInval
	}
	return nil
}
