package nlm

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// peerKey says how a client's lock manager is called: by the transport and from the address that the client used itself, for it
// ignores callbacks from elsewhere.
type peerKey struct {
	remote, local netip.Addr
	vers          uint32
	network       string
}

// peer is a client's lock manager that is called. At most one goroutine calls it, so a host that does not answer holds up
// nobody else.
type peer struct {
	key peerKey

	// Guarded by Service.mu.
	results []outgoing
	grants  []*block
	calling bool          // the goroutine runs
	wake    chan struct{} // capacity 1: there is something new to do
}

// outgoing is a _RES call.
type outgoing struct {
	proc uint32
	args []byte
}

// maxResults is how many answers to _MSG calls wait for one client; more are dropped, as datagrams may be.
const maxResults = 256

// linger is how long a connection to a client is kept for the next callback.
const linger = 2 * time.Second

func (s *Service) peerLocked(c *rpc.Call) *peer {
	key := peerKey{c.Remote.Addr().Unmap(), localAddr(c), c.Vers, "tcp"}
	if c.Datagram {
		key.network = "udp"
	}
	p := s.peers[key]
	if p == nil {
		p = &peer{key: key, wake: make(chan struct{}, 1)}
		s.peers[key] = p
	}
	return p
}

// post sends an answer to a _MSG call.
func (s *Service) post(c *rpc.Call, proc uint32, r *result) {
	var e xdr.Encoder
	r.encode(&e, wide(c.Vers))
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peerLocked(c)
	if len(p.results) < maxResults {
		p.results = append(p.results, outgoing{proc, e.Bytes()})
		s.kickLocked(p)
	}
}

// kickLocked makes sure that somebody looks at the peer's work.
func (s *Service) kickLocked(p *peer) {
	if !p.calling && s.ctx.Err() == nil {
		p.calling = true
		s.tasks.Go(func() { s.callPeer(p) })
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next takes the next thing to do. If there is nothing now, wait tells when there will be, 0: not known.
func (s *Service) next(p *peer) (out outgoing, b *block, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p.results) > 0 {
		out, p.results = p.results[0], p.results[1:]
		return out, nil, 0
	}
	now := time.Now()
	kept := p.grants[:0]
	for _, g := range p.grants {
		if g.host.blocks[g.lock] != g {
			continue // acknowledged or given up
		}
		kept = append(kept, g)
		switch left := g.due.Sub(now); {
		case left <= 0 && b == nil:
			b = g
		case wait == 0 || left < wait:
			wait = max(left, time.Millisecond)
		}
	}
	clear(p.grants[len(kept):])
	p.grants = kept
	return outgoing{}, b, wait
}

// retire ends the peer's goroutine unless there is something to do.
func (s *Service) retire(p *peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil && (len(p.results) > 0 || len(p.grants) > 0) {
		return false
	}
	p.calling = false
	return true
}

// callPeer does what is to be done for a peer until there is nothing left.
func (s *Service) callPeer(p *peer) {
	l := link{s: s, key: p.key}
	defer l.close()
	for {
		out, b, wait := s.next(p)
		switch {
		case s.ctx.Err() != nil:
		case out.args != nil:
			s.sendResult(&l, out)
			continue
		case b != nil:
			s.sendGranted(&l, b)
			continue
		}
		timer := time.NewTimer(linger)
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-p.wake:
		case <-timer.C:
		case <-s.ctx.Done():
		}
		timer.Stop()
		if wait == 0 && s.retire(p) || s.ctx.Err() != nil {
			return
		}
	}
}

func (s *Service) sendResult(l *link, out outgoing) {
	err := l.call(out.proc, func(e *xdr.Encoder) { e.Fixed(out.args) }, nil)
	s.countCallback(err, l.key, "result")
}

// sendGranted makes one attempt to tell a client that it has its lock.
func (s *Service) sendGranted(l *link, b *block) {
	s.mu.Lock()
	a, since := b.args, b.since
	s.mu.Unlock()
	encode := func(e *xdr.Encoder) { a.encode(e, wide(l.key.vers)) }
	st, answered := denied, false
	err := l.call(procGranted, encode, func(d *xdr.Decoder) error {
		_, st = decodeResult(d)
		answered = d.OK()
		return nil
	})
	if errors.Is(err, rpc.ErrProcUnavail) {
		err = l.call(procGrantedMsg, encode, nil) // GRANTED_RES will tell
	}
	s.countCallback(err, l.key, "granted")
	switch {
	case answered:
		s.acknowledge(b, st)
	case time.Since(since) > s.cfg.GrantTimeout:
		s.cfg.Log.Info("a client does not take the lock that it waited for", "client", b.host.name, "op", "granted", "err", err)
		s.acknowledge(b, denied)
	}
	s.mu.Lock()
	b.due = time.Now().Add(b.pause)
	b.pause = min(2*b.pause, s.cfg.RetryMax)
	s.mu.Unlock()
}

func (s *Service) countCallback(err error, key peerKey, op string) {
	s.mu.Lock()
	s.counts.Callbacks++
	if err != nil {
		s.counts.CallbackFailures++
	}
	s.mu.Unlock()
	if err != nil {
		s.cfg.Log.Debug("callback failed", "client", key.remote, "op", op, "err", err)
	}
}

// link is the connection of a peer's goroutine.
type link struct {
	s      *Service
	key    peerKey
	client *rpc.Client
	at     netip.AddrPort // where the peer listens, if known
}

func (l *link) close() {
	if l.client != nil {
		l.client.Close()
		l.client = nil
	}
}

// call calls the peer once, on the connection that there is or on a new one. The port is asked for again after any failure: the
// peer may have restarted.
func (l *link) call(proc uint32, a func(*xdr.Encoder), reply func(*xdr.Decoder) error) error {
	ctx, cancel := context.WithTimeout(l.s.ctx, l.s.cfg.CallTimeout)
	defer cancel()
	fresh := l.client == nil
	err := l.callOn(ctx, proc, a, reply)
	if err != nil && !fresh && !refused(err) && ctx.Err() == nil { // the connection may have ended while it was idle
		err = l.callOn(ctx, proc, a, reply)
	}
	return err
}

func (l *link) callOn(ctx context.Context, proc uint32, a func(*xdr.Encoder), reply func(*xdr.Decoder) error) error {
	if err := l.dial(ctx); err != nil {
		return err
	}
	cred := rpc.ClientCred{Machine: l.s.cfg.Name}
	err := l.client.Call(ctx, Program, l.key.vers, proc, &cred, a, reply)
	if err != nil && !refused(err) {
		l.close()
		l.at = netip.AddrPort{}
	}
	return err
}

// refused reports whether the peer answered, though not with success.
func refused(err error) bool { return errors.Is(err, rpc.ErrProcUnavail) }

func (l *link) dial(ctx context.Context) (err error) {
	if l.client != nil {
		return nil
	}
	if !l.at.IsValid() {
		l.at, err = l.s.cfg.Portmap.Find(ctx, l.key.network, l.key.local, l.key.remote, Program, l.key.vers)
		if err != nil {
			return err
		}
	}
	l.client, err = rpc.Dial(ctx, l.key.network, netip.AddrPortFrom(l.key.local, 0), l.at)
	if err != nil {
		l.at = netip.AddrPort{}
	}
	return err
}
