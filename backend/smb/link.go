package smb

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/cloudsoda/go-smb2"

	"causeway"
)

// links are the connections to the server. Each carries many requests at a time; a request that fails with its connection
// makes the next one connect anew.
type links struct {
	cfg   *Config
	slots []*slot
	ctx   context.Context
	end   context.CancelFunc

	mu   sync.Mutex
	next int
}

// slot is the place of one connection.
type slot struct {
	mu     sync.Mutex // held while connecting
	now    *link
	failed time.Time // the last attempt
	err    error     // of it
	closed bool
}

// link is a connection with the share mounted. It is broken for good when one request found it so.
type link struct {
	nc      net.Conn
	session *smb2.Session
	share   *smb2.Share
	once    sync.Once
	broken  chan struct{} // closed when it is
}

func newLinks(cfg *Config) *links {
	l := &links{cfg: cfg, slots: make([]*slot, cfg.Connections)}
	for i := range l.slots {
		l.slots[i] = &slot{}
	}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

// check makes the first connection.
func (l *links) check(ctx context.Context) error {
	s := l.slots[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	made, err := l.connect(ctx)
	s.now = made
	return err
}

// get returns a living connection, the next one in turn. ErrDelay: there is none now.
func (l *links) get() (*link, error) {
	l.mu.Lock()
	s := l.slots[l.next%len(l.slots)]
	l.next++
	l.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil && !s.now.isBroken() {
		return s.now, nil
	}
	now := l.cfg.Clock()
	switch {
	case s.closed:
		return nil, causeway.ErrClosed
	case s.err != nil && now.Sub(s.failed) < l.cfg.Retry:
		return nil, &causeway.Error{Op: "connect", Code: causeway.ErrDelay, Err: s.err}
	}
	made, err := l.connect(l.ctx)
	if s.err = err; err != nil {
		s.failed = l.cfg.Clock()
		l.cfg.Logger.Warn("no connection to the server", "op", "connect", "share", l.cfg.Share, "err", err)
		return nil, &causeway.Error{Op: "connect", Code: causeway.ErrDelay, Err: err}
	}
	s.now = made
	return made, nil
}

// connect makes a connection, within Config.Timeout.
func (l *links) connect(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", l.cfg.Address)
	if err != nil {
		return nil, err
	}
	// The library does not look at the context everywhere.
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	made, err := l.logOn(ctx, nc)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return made, nil
}

func (l *links) logOn(ctx context.Context, nc net.Conn) (*link, error) {
	host, _, _ := net.SplitHostPort(l.cfg.Address)
	l.mu.Lock()
	password := l.cfg.Password
	l.mu.Unlock()
	ntlm := &smb2.NTLMInitiator{User: l.cfg.User, Password: password}
	if domain, user, ok := strings.Cut(l.cfg.User, `\`); ok {
		ntlm.Domain, ntlm.User = domain, user
	}
	d := smb2.Dialer{Initiator: ntlm, Negotiator: smb2.Negotiator{RequireMessageSigning: true}}
	session, err := d.DialConn(ctx, nc, host)
	if err != nil {
		return nil, err
	}
	mounted, err := session.WithContext(ctx).Mount(l.cfg.Share, smb2.WithMapPosix())
	if err != nil {
		return nil, err
	}
	return &link{nc: nc, session: session, share: mounted, broken: make(chan struct{})}, nil
}

func (k *link) isBroken() bool {
	select {
	case <-k.broken:
		return true
	default:
		return false
	}
}

// fail ends the connection; requests that wait for it fail.
func (k *link) fail() {
	k.once.Do(func() {
		close(k.broken)
		k.nc.Close()
	})
}

// run does a request, and ends the connection if it takes too long. lost: the connection has ended, and the outcome is not known.
func (k *link) run(timeout time.Duration, do func() error) (lost bool, err error) {
	t := time.AfterFunc(timeout, k.fail)
	err = do()
	t.Stop()
	if err != nil && (isLoss(err) || k.isBroken()) {
		k.fail()
		return true, err
	}
	return false, err
}

// isLoss reports whether an error is the connection's, the session's or the tree connect's, not the request's.
func isLoss(err error) bool {
	var transport *smb2.TransportError
	var invalid *smb2.InvalidResponseError
	var internal *smb2.InternalError
	var network net.Error
	var said *smb2.ResponseError
	switch {
	case errors.As(err, &said):
		return sessionEnded(said.Code)
	case errors.As(err, &transport), errors.As(err, &invalid), errors.As(err, &internal), errors.As(err, &network):
		return true
	}
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// close ends all connections.
func (l *links) close() {
	l.end()
	for _, s := range l.slots {
		s.mu.Lock()
		s.closed = true
		if k := s.now; k != nil {
			if !k.isBroken() {
				_, _ = k.run(l.cfg.Timeout, k.session.Logoff) // the server forgets the session with its connection too
			}
			k.fail()
		}
		s.mu.Unlock()
	}
}
