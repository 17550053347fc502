package peer

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/internal/doorman"
)

// session is what another gateway asks here.
type session struct {
	*conduit
	id      uint64
	joining atomic.Uint64 // of the gateway when it last made a stream
}

// server is the generated service's view of Peers.
type server struct {
	peerpb.UnimplementedPeerServer
	*Peers
}

func (p *Peers) serveGRPC() {
	p.grpc = grpc.NewServer(grpc.Creds(bounded{credentials.NewTLS(p.cfg.Server), &doorman.Doorman{Total: maxStrangers, PerAddr: maxStrangersPerAddr}, &p.counts}), grpc.ConnectionTimeout(5*time.Second),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(2*streamWindow), grpc.MaxConcurrentStreams(256), grpc.WaitForHandlers(true),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.ChainUnaryInterceptor(p.guarded), grpc.ChainStreamInterceptor(p.guardedStream))
	peerpb.RegisterPeerServer(p.grpc, server{Peers: p})
	peerpb.RegisterBulkServer(p.grpc, bulk{Peers: p})
	peerpb.RegisterCopiesServer(p.grpc, copies{Peers: p})
}

// guarded turns a panic into the call's failure, guardedStream into the stream's.
func (p *Peers) guarded(ctx context.Context, r any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (reply any, err error) {
	defer p.recovered(info.FullMethod, &err)
	return handle(ctx, r)
}

func (p *Peers) guardedStream(s any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer p.recovered(info.FullMethod, &err)
	return handle(s, stream)
}

func (p *Peers) recovered(op string, err *error) {
	if r := recover(); r != nil {
		p.cfg.Log.Error("a request of another gateway panicked", "op", op, "err", fmt.Sprint(r), "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "panic")
	}
}

// Serve answers other gateways until Close. The listener is a plain one, and is closed.
func (p *Peers) Serve(l net.Listener) error {
	if err := p.grpc.Serve(l); err != nil && p.ctx.Err() == nil {
		return err
	}
	return nil
}

// nodeOf is the name in the certificate of who calls, if he is of the cluster.
func (p *Peers) nodeOf(ctx context.Context) (string, error) {
	from, _ := peer.FromContext(ctx)
	if from != nil {
		if t, ok := from.AuthInfo.(credentials.TLSInfo); ok && len(t.State.PeerCertificates) > 0 {
			node := t.State.PeerCertificates[0].Subject.CommonName
			if _, member := p.cfg.Member(node); node != "" && member {
				return node, nil
			}
		}
	}
	p.counts.refused.Add(1)
	return "", status.Error(codes.PermissionDenied, "not a node of this cluster")
}

// Converse implements the service.
func (s server) Converse(stream peerpb.Peer_ConverseServer) error {
	p := s.Peers
	node, err := p.nodeOf(stream.Context())
	if err != nil {
		return err
	}
	hello, err := first(stream)
	if err != nil || hello.Node != node || hello.Session == 0 {
		p.counts.refused.Add(1)
		return status.Error(codes.InvalidArgument, "no good hello")
	}
	if hello.Depths != depth.Max {
		p.counts.refused.Add(1)
		p.cfg.Log.Error("a gateway counts other depths of calls", "node", node)
		return status.Error(codes.FailedPrecondition, "other depths")
	}
	k, known := p.session(node, hello.Session)
	if k == nil {
		return status.Error(codes.Unavailable, "closing")
	}
	answer := &peerpb.Hello{Node: p.cfg.Node, Session: hello.Session, Resume: known, Depths: depth.Max, Version: version}
	if err := stream.Send(&peerpb.Packet{Frames: []*peerpb.Frame{{Hello: answer}}}); err != nil {
		return err
	}
	return p.carry(k, stream)
}

// first reads the hello.
func first(stream packets) (*peerpb.Hello, error) {
	p, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if len(p.Frames) != 1 || p.Frames[0].GetHello() == nil {
		return nil, errFrame
	}
	return p.Frames[0].Hello, nil
}

// session finds the session that a gateway means, or begins it in place of its last one. known: it was there.
func (p *Peers) session(node string, id uint64) (s *session, known bool) {
	joining, _ := p.cfg.Member(node)
	p.mu.Lock()
	old := p.sessions[node]
	if old != nil && old.id == id {
		old.joining.Store(joining)
		p.mu.Unlock()
		return old, true
	}
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		return nil, false
	}
	s = &session{id: id}
	s.joining.Store(joining)
	s.conduit = newConduit(p.cfg.MaxCalls, p.cfg.Log, &p.counts, colleague{p, node})
	p.sessions[node] = s
	p.mu.Unlock()
	if old != nil {
		old.end()
	}
	return s, false
}

// carry lets a stream carry a session until it ends, or another one takes its place.
func (p *Peers) carry(s *session, stream packets) error {
	k, err := s.attach(stream)
	if err != nil {
		return status.Error(codes.Unavailable, "closing")
	}
	ends := make(chan error, 3)
	if !s.start(func() { ends <- s.read(k) }) || !s.start(func() { ends <- s.write(k) }) {
		ends <- status.Error(codes.Unavailable, "closing")
	}
	select {
	case err = <-ends:
	case <-k.gone:
		err = status.Error(codes.Aborted, "another stream took its place")
	}
	s.detach(k)
	p.expire(s)
	return err // which ends the stream, and so both
}

// expire ends a session that is without a stream for too long: nobody waits for its calls any more.
func (p *Peers) expire(s *session) {
	time.AfterFunc(2*p.cfg.Linger, func() {
		if s.carried() || s.silent() < 2*p.cfg.Linger {
			return
		}
		p.mu.Lock()
		for node, is := range p.sessions {
			if is == s {
				delete(p.sessions, node)
			}
		}
		p.mu.Unlock()
		s.end()
	})
}
