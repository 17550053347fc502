package nlm

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
)

// block is a lock that a client waits for, from its LOCK until it has acknowledged GRANTED.
type block struct {
	lock gateway.Lock
	host *host
	args args // of GRANTED: handle, owner, svid and range exactly as the client gave them, by which it finds its process
	peer *peer

	caller  gateway.Caller // to ask for it again
	asking  chan struct{}  // not nil while that is done; closed at its end
	leaving bool           // the client gives it up

	granted bool      // the table holds it
	since   time.Time // when that was
	due     time.Time // of the next call to the client
	pause   time.Duration
	cookie  uint64
}

// expect notes that a client will wait for a lock, before the table is asked: the answer may be overtaken by the event. made
// says that it was not noted yet.
func (s *Service) expect(h *host, l gateway.Lock, a *args, c *rpc.Call) (b *block, made bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b = h.blocks[l]
	if b == nil {
		s.cookie++
		b, made = &block{lock: l, host: h, cookie: s.cookie}, true
		h.blocks[l], s.cookies[b.cookie] = b, b
	}
	b.args = args{
		cookie:    binary.BigEndian.AppendUint64(nil, b.cookie),
		exclusive: a.exclusive,
		lock:      lockArgs{s.cfg.Name, slices.Clone(a.lock.handle), slices.Clone(a.lock.oh), a.lock.svid, a.lock.offset, a.lock.length},
	}
	b.caller, b.leaving = callerOf(&c.Caller), false
	if !b.granted { // else a callback is on its way
		b.peer = s.peerLocked(c)
	}
	return b, made
}

// drop forgets a block; nothing is sent for it any more.
func (s *Service) drop(b *block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(b)
}

func (s *Service) dropLocked(b *block) {
	if b.host.blocks[b.lock] == b {
		delete(b.host.blocks, b.lock)
		delete(s.cookies, b.cookie)
	}
}

// blockOf returns the block of a client's request, or nil.
func (s *Service) blockOf(l gateway.Lock) *block {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[l.Owner.Client]
	if h == nil {
		return nil
	}
	return h.blocks[l]
}

// Deliver implements gateway.Events: a queued lock has been granted. An event without a block is of a request that was answered
// or given up meanwhile.
func (s *Service) Deliver(_ context.Context, e gateway.Event) error {
	if e.Kind != gateway.LockGranted {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[e.Lock.Owner.Client]
	if h == nil {
		return nil
	}
	if b := h.blocks[e.Lock]; b != nil {
		s.grantedLocked(b)
	}
	return nil
}

// grantedLocked has the client called.
func (s *Service) grantedLocked(b *block) {
	if b.granted || b.host.blocks[b.lock] != b {
		return
	}
	now := time.Now()
	b.granted, b.since, b.due, b.pause = true, now, now, s.cfg.RetryMin
	b.peer.grants = append(b.peer.grants, b)
	s.kickLocked(b.peer)
}

// callerOf returns a copy that lasts.
func callerOf(c *gateway.Caller) gateway.Caller {
	kept := gateway.Caller{Cred: c.Cred, Owner: c.Owner, Client: c.Client, ReadOnly: c.ReadOnly}
	kept.Cred.Groups = slices.Clone(c.Cred.Groups)
	return kept
}

// acknowledge deals with a client's answer to GRANTED. One who does not want the lock any more never knew that he had it: it is
// released.
func (s *Service) acknowledge(b *block, st status) {
	s.mu.Lock()
	current := b.granted && b.host.blocks[b.lock] == b
	if current && st != deniedGracePeriod {
		s.dropLocked(b)
	}
	s.mu.Unlock()
	if current && st != granted && st != deniedGracePeriod {
		s.giveBack(b)
	}
}

// giveBack releases a granted lock for its client.
func (s *Service) giveBack(b *block) {
	c := gateway.Caller{Owner: b.lock.Owner, Client: b.host.record.Addr}
	if err := s.cfg.Locker.Unlock(s.ctx, &c, b.lock.Handle, b.lock.Span); err != nil {
		s.cfg.Log.Warn("a lock that its client does not want could not be released", "client", b.host.name, "op", "granted", "err", err)
	}
}
