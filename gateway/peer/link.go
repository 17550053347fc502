package peer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/internal/sleep"
)

// version is what this code speaks; neighbours' versions work together.
const version = 1

// Sizes of HTTP/2: windows that are fixed and large enough that nothing is probed for.
const (
	streamWindow = 1 << 20
	maxMessage   = 8 << 20
)

// link is the session with one node.
type link struct {
	peers *Peers
	node  string
	state atomic.Pointer[sessionState]
}

// sessionState is replaced when a session is given up.
type sessionState struct {
	*conduit
	id    uint64
	known bool // the node has it
}

func (k *link) renew() {
	p := k.peers
	k.state.Store(&sessionState{conduit: newConduit(p.cfg.MaxCalls, p.cfg.Log, &p.counts, colleague{p, k.node}), id: newSession()})
}

// newSession makes a number that no other session has.
func newSession() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1
}

// link finds the session in which a node is asked, or begins one; nil after Close.
func (p *Peers) link(node string) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.links[node]; k != nil {
		return k
	}
	if p.ctx.Err() != nil {
		return nil
	}
	k := &link{peers: p, node: node}
	k.renew()
	p.links[node] = k
	p.tasks.Go(k.run)
	return k
}

func (k *link) ask(ctx context.Context, r *peerpb.Request) (*peerpb.Reply, error) {
	return k.state.Load().ask(ctx, r)
}

// run keeps a stream to the node until Close. Who has had none for a while gives the session up: its calls fail.
func (k *link) run() {
	p := k.peers
	pause, since := time.Millisecond, time.Now()
	for p.ctx.Err() == nil {
		s := k.state.Load()
		worked, err := k.carry(s)
		if p.ctx.Err() != nil {
			break
		}
		if worked {
			pause, since = time.Millisecond, time.Now()
			p.cfg.Log.Debug("the stream to a gateway has ended", "node", k.node, "err", err)
			if p.cfg.Broken != nil {
				p.cfg.Broken(k.node)
			}
		} else {
			p.counts.failed.Add(1)
			p.cfg.Log.Debug("a gateway cannot be reached", "node", k.node, "err", err)
		}
		if time.Since(since) > p.cfg.Linger {
			k.giveUp(s)
			since = time.Now()
		}
		sleep.For(p.ctx, pause)
		pause = min(2*pause, p.cfg.Redial)
	}
	k.state.Load().end()
	k.state.Load().wait()
}

// giveUp ends a session and begins another one.
func (k *link) giveUp(s *sessionState) {
	k.renew()
	s.end()
	s.wait()
}

// carry makes a stream and lets it carry the session until it ends. worked: it did.
func (k *link) carry(s *sessionState) (worked bool, err error) {
	p := k.peers
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	conn, err := k.connect()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	limit := time.AfterFunc(p.cfg.DialTimeout, cancel)
	stream, err := peerpb.NewPeerClient(conn).Converse(ctx)
	if err != nil {
		return false, err
	}
	hello := &peerpb.Hello{Node: p.cfg.Node, Session: s.id, Resume: s.known, Depths: depth.Max, Version: version}
	if err := stream.Send(&peerpb.Packet{Frames: []*peerpb.Frame{{Hello: hello}}}); err != nil {
		_, err = stream.Recv() // tells the reason
		return false, err
	}
	first, err := stream.Recv()
	if err != nil {
		return false, err
	}
	if !limit.Stop() || len(first.Frames) != 1 || first.Frames[0].Hello.GetNode() != k.node || first.Frames[0].Hello.Depths != depth.Max {
		return false, errFrame
	}
	if s.known && !first.Frames[0].Hello.Resume {
		p.counts.lost.Add(1)
		s.lose()
	}
	s.known = true
	carrier, err := s.attach(stream)
	if err != nil {
		return false, err
	}
	p.counts.streams.Add(1)
	k.work(s, carrier, cancel, &err)
	return true, err
}

// work runs writer and watch beside the reader.
func (k *link) work(s *sessionState, c *carrier, cancel context.CancelFunc, err *error) {
	done := make(chan struct{}, 2)
	go func() { // ends with the carrier
		_ = s.write(c)
		c.end()
		cancel()
		done <- struct{}{}
	}()
	go func() {
		k.watch(s, c, cancel)
		done <- struct{}{}
	}()
	*err = s.read(c)
	s.detach(c)
	cancel()
	<-done
	<-done
}

// watch cuts a stream that brings nothing.
func (k *link) watch(s *sessionState, c *carrier, cancel context.CancelFunc) {
	beat := k.peers.cfg.Beat
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-tick.C:
		}
		switch silent := s.silent(); {
		case silent > 3*beat:
			c.end()
			cancel()
			return
		case silent > beat/2:
			s.beat()
		}
	}
}

// connect makes a connection over which only this node is spoken to.
func (k *link) connect() (*grpc.ClientConn, error) {
	p := k.peers
	at, ok := p.cfg.Address(k.node)
	if !ok {
		return nil, fmt.Errorf("no address of %s is known", k.node)
	}
	return dial(at, k.node, p.cfg.Client(), p.cfg.DialTimeout, streamWindow)
}

func dial(at, node string, base *tls.Config, within time.Duration, window int32) (*grpc.ClientConn, error) {
	cfg := base.Clone()
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || s.PeerCertificates[0].Subject.CommonName != node {
			return errors.New("another node is at the address of " + node)
		}
		return nil
	}
	return grpc.NewClient("passthrough:///"+at, grpc.WithTransportCredentials(credentials.NewTLS(cfg)), grpc.WithDisableServiceConfig(),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(2*window), grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: within}), grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
}
