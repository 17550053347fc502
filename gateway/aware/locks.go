package aware

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"sync"
	"time"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway"
)

// Bounds of locks.
const (
	maxWaits    = 4096 // calls that wait for a lock, of all clients; of one address a quarter
	maxWait     = 30 * time.Second
	askAgain    = 2 * time.Second // a lock that is waited for is asked for again: the volume may have moved, and an event been lost
	leaveWithin = 10 * time.Second
)

// tenants are the clients that have locks by way of this gateway, and the calls that wait for some.
type tenants struct {
	mu    sync.Mutex
	due   map[who]time.Time // when a client's locks are released unless it renews
	waits map[gateway.Lock]map[chan struct{}]bool
	count int

	dueOf, waitsOf map[netip.Addr]int // of an address
}

func newTenants() *tenants {
	return &tenants{due: map[who]time.Time{}, waits: map[gateway.Lock]map[chan struct{}]bool{}, dueOf: map[netip.Addr]int{}, waitsOf: map[netip.Addr]int{}}
}

// endLocked takes a client out.
func (t *tenants) endLocked(w who) {
	if _, known := t.due[w]; known {
		delete(t.due, w)
		lessen(t.dueOf, w.addr)
	}
}

// lessen counts one down.
func lessen(of map[netip.Addr]int, a netip.Addr) {
	if of[a]--; of[a] == 0 {
		delete(of, a)
	}
}

// lockClient is how a client is known to who manages locks.
func lockClient(w who) string { return hex.EncodeToString(w.id[:]) + "@" + w.addr.String() }

// renewed notes that a client lives. It reports false if there are too many.
func (s *Server) renewed(w who) bool {
	s.tenants.mu.Lock()
	defer s.tenants.mu.Unlock()
	if _, known := s.tenants.due[w]; !known {
		if len(s.tenants.due) >= s.cfg.MaxClients || s.tenants.dueOf[w.addr] >= s.share() {
			return false
		}
		s.tenants.dueOf[w.addr]++
	}
	s.tenants.due[w] = s.cfg.Now().Add(s.cfg.Lease)
	return true
}

// Deliver implements gateway.Events: a lock that was waited for has been granted.
func (s *Server) Deliver(_ context.Context, e gateway.Event) error {
	if e.Kind != gateway.LockGranted {
		return nil
	}
	s.tenants.mu.Lock()
	defer s.tenants.mu.Unlock()
	for w := range s.tenants.waits[e.Lock] {
		select {
		case w <- struct{}{}:
		default: // it knows already
		}
	}
	return nil
}

// expect registers a call that waits for a lock; nil if there are too many.
func (s *Server) expect(l gateway.Lock, from netip.Addr) (granted chan struct{}, done func()) {
	t := s.tenants
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count >= maxWaits || t.waitsOf[from] >= maxWaits/4 {
		return nil, nil
	}
	t.waitsOf[from]++
	granted = make(chan struct{}, 1)
	if t.waits[l] == nil {
		t.waits[l] = map[chan struct{}]bool{}
	}
	t.waits[l][granted] = true
	t.count++
	return granted, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.waits[l], granted)
		if len(t.waits[l]) == 0 {
			delete(t.waits, l)
		}
		t.count--
		lessen(t.waitsOf, from)
	}
}

// locker decides who asks about a lock, and which.
func (s *Server) locker(ctx context.Context, r *clientpb.LockRequest) (c *gateway.Caller, l gateway.Lock, w who, err error) {
	c, h, _, err := s.admit(ctx, r.Caller, r.Handle)
	if err != nil {
		return nil, l, w, err
	}
	from, _ := remote(ctx)
	if w = (who{from.Addr(), clientID(r.Caller)}); w.id == ([16]byte{}) {
		return nil, l, w, causeway.ErrInval
	}
	c.Owner = causeway.Owner{Kind: causeway.OwnerAware, Client: lockClient(w), Opaque: string(binary.BigEndian.AppendUint64(nil, r.Owner))}
	l = gateway.Lock{Handle: h, Owner: c.Owner, Span: causeway.Span{Offset: r.Offset, Length: r.Length}, Exclusive: r.Exclusive}
	if r.Length == 0 {
		l.Span.Length = causeway.ToEOF
	}
	return c, l, w, nil
}

func lockReply(conflict gateway.Lock, err error) *clientpb.LockReply {
	out := &clientpb.LockReply{Code: uint32(causeway.CodeOf(err)), Cause: cause(err)}
	if err != nil {
		out.Offset, out.Length, out.Exclusive = conflict.Span.Offset, conflict.Span.Length, conflict.Exclusive
		if out.Length == causeway.ToEOF {
			out.Length = 0
		}
	}
	return out
}

// Lock takes a lock, or waits for it.
func (s *Server) Lock(ctx context.Context, r *clientpb.LockRequest) (*clientpb.LockReply, error) {
	c, l, w, err := s.locker(ctx, r)
	if err != nil {
		return lockReply(l, err), nil
	}
	if !s.renewed(w) { // before: it may hold one when the answer is lost
		return lockReply(l, causeway.ErrNoLocks), nil
	}
	ctx, end, err := s.turns.begin(ctx, locksOf{w, r.Owner}, r.Number, s.cfg.Now)
	if err != nil {
		return lockReply(l, err), nil
	}
	defer end()
	spec := gateway.LockSpec{Span: l.Span, Exclusive: l.Exclusive}
	if r.WaitMs == 0 {
		var conflict gateway.Lock
		err = s.brief(ctx, func() (err error) { conflict, err = s.cfg.Access.Lock(ctx, c, l.Handle, spec); return err })
		return lockReply(conflict, err), nil
	}
	spec.Wait = true
	granted, done := s.expect(l, w.addr)
	if granted == nil {
		return lockReply(l, causeway.ErrNoLocks), nil
	}
	defer done()
	conflict, err := s.await(ctx, c, l, spec, granted, min(time.Duration(r.WaitMs)*time.Millisecond, maxWait))
	return lockReply(conflict, err), nil
}

// await asks for a lock until it is had or the time is over.
func (s *Server) await(ctx context.Context, c *gateway.Caller, l gateway.Lock, spec gateway.LockSpec, granted chan struct{}, wait time.Duration) (conflict gateway.Lock, err error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		err = s.brief(ctx, func() (err error) { conflict, err = s.cfg.Access.Lock(ctx, c, l.Handle, spec); return err })
		if causeway.CodeOf(err) != causeway.ErrBlocked {
			return conflict, err
		}
		again := time.NewTimer(askAgain)
		select {
		case <-granted:
			again.Stop()
			return gateway.Lock{}, nil
		case <-again.C:
			continue
		case <-over.C:
		case <-ctx.Done():
		case <-s.life.Done():
		}
		again.Stop()
		return conflict, s.leave(ctx, c, l, spec)
	}
}

// leave takes a request back. Who has the lock meanwhile keeps it: its client is told, asks again, or gives it back. A request that is not there may
// also have been lost with the owner of the volume.
func (s *Server) leave(wanted context.Context, c *gateway.Caller, l gateway.Lock, spec gateway.LockSpec) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(wanted), leaveWithin)
	defer cancel()
	err := s.brief(ctx, func() error { return s.cfg.Access.Cancel(ctx, c, l.Handle, spec) })
	if causeway.CodeOf(err) != causeway.ErrNoEnt || wanted.Err() != nil {
		return causeway.ErrBlocked
	}
	spec.Wait = false
	if err := s.brief(ctx, func() (err error) { _, err = s.cfg.Access.Lock(ctx, c, l.Handle, spec); return err }); err != nil {
		return causeway.ErrBlocked
	}
	return nil
}

// Unlock gives a span back.
func (s *Server) Unlock(ctx context.Context, r *clientpb.LockRequest) (*clientpb.LockReply, error) {
	c, l, w, err := s.locker(ctx, r)
	if err != nil {
		return lockReply(gateway.Lock{}, err), nil
	}
	ctx, end, err := s.turns.begin(ctx, locksOf{w, r.Owner}, r.Number, s.cfg.Now)
	if err == nil {
		defer end()
		err = s.brief(ctx, func() error { return s.cfg.Access.Unlock(ctx, c, l.Handle, l.Span) })
	}
	return lockReply(gateway.Lock{}, err), nil
}

// TestLock says whether a lock could be had.
func (s *Server) TestLock(ctx context.Context, r *clientpb.LockRequest) (*clientpb.LockReply, error) {
	c, l, _, err := s.locker(ctx, r)
	var conflict gateway.Lock
	if err == nil {
		spec := gateway.LockSpec{Span: l.Span, Exclusive: l.Exclusive}
		err = s.brief(ctx, func() (err error) { conflict, err = s.cfg.Access.TestLock(ctx, c, l.Handle, spec); return err })
	}
	return lockReply(conflict, err), nil
}

// Renew notes that a client lives, or that it has no locks here any more.
func (s *Server) Renew(ctx context.Context, r *clientpb.RenewRequest) (*clientpb.RenewReply, error) {
	from, ok := remote(ctx)
	w := who{from.Addr(), clientID(r.Caller)}
	s.tenants.mu.Lock()
	defer s.tenants.mu.Unlock()
	_, known := s.tenants.due[w]
	out := &clientpb.RenewReply{LeaseMs: uint32(s.cfg.Lease.Milliseconds())}
	switch {
	case !ok || !known && !r.Leave:
		out.Code = uint32(causeway.ErrNoEnt) // it takes its locks again
	case r.Leave:
		s.tenants.endLocked(w)
	default:
		s.tenants.due[w] = s.cfg.Now().Add(s.cfg.Lease)
	}
	return out, nil
}

// evict releases the locks of clients that do not renew, and hangs up on those that take no answers, until the server ends. It releases those locks
// that were asked for last by way of this gateway: a client that cannot reach it, and lives, has asked again for its locks where it is now.
func (s *Server) evict() {
	tick := time.NewTicker(max(s.cfg.Lease/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.life.Done():
			return
		}
		if stuck := s.unsent.stuck(s.cfg.Now()); len(stuck) > 0 {
			s.hangUp(stuck)
		}
		s.turns.forget(s.cfg.Now())
		for _, w := range s.overdue() {
			ctx, cancel := context.WithTimeout(s.life, leaveWithin)
			err := s.brief(ctx, func() error { return s.cfg.Access.ReleaseVia(ctx, causeway.OwnerAware, lockClient(w), "") })
			cancel()
			if err != nil {
				s.cfg.Log.Warn("the locks of an aware client that is gone could not be released", "client", w.name(), "err", err)
				s.renewed(w) // tried again
				continue
			}
			s.cfg.Log.Info("the locks of an aware client that is gone were released", "client", w.name())
		}
	}
}

// overdue takes the clients out that have not renewed.
func (s *Server) overdue() (out []who) {
	s.tenants.mu.Lock()
	defer s.tenants.mu.Unlock()
	now := s.cfg.Now()
	for w, due := range s.tenants.due {
		if now.After(due) {
			s.tenants.endLocked(w)
			out = append(out, w)
		}
	}
	return out
}
