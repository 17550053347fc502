package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"causeway/internal/sleep"
)

// Times of a connection to a peer.
const (
	dialWithin  = 3 * time.Second
	writeWithin = 2 * time.Second
	heartbeat   = time.Second      // at least that often something is sent
	silence     = 10 * time.Second // after which a peer is given up
	retry       = 200 * time.Millisecond
)

// sender pushes the state to a peer.
type sender struct {
	m      *Mirror
	name   string
	addr   string
	cancel context.CancelFunc
}

// survey starts and ends senders, so that each peer has one.
func (m *Mirror) survey(senders map[string]*sender) {
	peers := m.cfg.Peers()
	for name, s := range senders {
		if peers[name] != s.addr {
			s.cancel()
			delete(senders, name)
		}
	}
	for name, addr := range peers {
		if senders[name] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(m.ctx)
		s := &sender{m, name, addr, cancel}
		senders[name] = s
		m.tasks.Go(func() { s.run(ctx) })
	}
}

func (s *sender) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.push(ctx)
		s.m.cfg.Log.Debug("the connections of clients are not sent", "peer", s.name, "err", err)
		sleep.For(ctx, retry)
	}
}

// push connects, and sends until something fails.
func (s *sender) push(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.NetConn().Close() })()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var p progress
	var frames []byte
	for {
		var news <-chan struct{}
		if frames, news = s.m.source.since(&p, frames[:0]); len(frames) > 0 {
			if err := conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
				return err
			}
			if _, err := conn.Write(frames); err != nil {
				return err
			}
		}
		if cap(frames) > 64<<10 {
			frames = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		case <-beat.C:
			p.version = 0 // what it holds is said again
		}
	}
}

func (s *sender) dial(ctx context.Context) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	host, _, err := net.SplitHostPort(s.addr)
	if err != nil {
		return nil, err
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	cfg := s.m.cfg.Client().Clone()
	cfg.ServerName = host
	conn := tls.Client(nc, cfg)
	err = conn.HandshakeContext(ctx)
	if err == nil && peerName(conn) != s.name {
		err = fmt.Errorf("the peer is %.80q", peerName(conn))
	}
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return conn, nil
}

// peerName is the name in the other side's certificate, which was verified.
func peerName(c *tls.Conn) string {
	if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
		return certs[0].Subject.CommonName
	}
	return ""
}
