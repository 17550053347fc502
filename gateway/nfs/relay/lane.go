package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

// redial is how long after a failure a peer is dialled again.
const redial = 20 * time.Millisecond

// lane is a place for a connection to a peer.
type lane struct {
	name  string
	calls int // outstanding at most

	mu     sync.Mutex
	link   *link         // the last one; it may have ended
	dialed chan struct{} // closed when the attempt that runs has ended; nil: none runs
	failed time.Time
}

// get returns a connection that works as far as is known, made if need be; nil if there is none now.
func (l *lane) get(ctx context.Context, p *Peers, w *watch) *link {
	l.mu.Lock()
	if l.link != nil && l.link.alive() {
		defer l.mu.Unlock()
		return l.link
	}
	if l.dialed == nil {
		done := make(chan struct{})
		if time.Since(l.failed) < redial || !p.start(func() { l.dial(p, done) }) {
			l.mu.Unlock()
			return nil
		}
		l.dialed = done
	}
	dialed := l.dialed
	l.mu.Unlock()
	if !w.wait(ctx, dialed) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != nil && l.link.alive() {
		return l.link
	}
	return nil
}

// dial makes the connection, and reads from it until it ends.
func (l *lane) dial(p *Peers, done chan struct{}) {
	conn, err := p.connect(l.name)
	l.mu.Lock()
	l.dialed = nil
	if err != nil {
		l.failed = time.Now()
	} else {
		l.link = newLink(p, conn, l.calls)
	}
	made := l.link
	l.mu.Unlock()
	close(done)
	if err != nil {
		p.cfg.Log.Debug("a gateway cannot be reached", "node", l.name, "err", err)
		return
	}
	end := context.AfterFunc(p.ctx, func() { conn.Close() })
	err = made.read()
	end()
	made.fail()
	if p.ctx.Err() != nil {
		return
	}
	p.cfg.Log.Debug("the connection to a gateway has ended", "node", l.name, "err", err)
	if p.cfg.Broken != nil {
		p.cfg.Broken(l.name)
	}
}

// connect dials a peer and makes sure that it is he.
func (p *Peers) connect(name string) (*stream, error) {
	at, ok := p.cfg.Address(name)
	if !ok {
		return nil, fmt.Errorf("no address of %s is known", name)
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.DialTimeout)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	cfg := p.cfg.TLS().Clone()
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(at)
	}
	s := newStream(nc, func(under net.Conn) *tls.Conn { return tls.Client(under, cfg) })
	if err := s.handshake(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	if is := s.peerName(); is != name {
		nc.Close()
		return nil, fmt.Errorf("%s is at %s, where %s was looked for", is, at, name)
	}
	return s, nil
}
