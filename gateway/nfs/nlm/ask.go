package nlm

import (
	"cmp"
	"context"
	"slices"
	"time"

	"causeway"
	"causeway/gateway"
)

// AskAgain asks for the locks of a volume that clients of this gateway wait for, in the order in which they came: another gateway
// administers the volume now, and what was granted is known to it, but not what was waited for. Clients would ask again by themselves, Linux
// after half a minute. It returns at once.
func (s *Service) AskAgain(v causeway.VolumeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*block
	for _, b := range s.cookies {
		if b.lock.Handle.Volume == v && !b.granted && b.asking == nil && !b.leaving {
			b.asking = make(chan struct{})
			list = append(list, b)
		}
	}
	if len(list) == 0 {
		return
	}
	slices.SortFunc(list, func(a, b *block) int { return cmp.Compare(a.cookie, b.cookie) })
	if s.ctx.Err() != nil {
		for _, b := range list {
			s.askedLocked(b)
		}
		return
	}
	s.tasks.Go(func() {
		for _, b := range list {
			s.askOnce(b)
		}
	})
}

// askAgainWithin bounds how long one question may take: calls of the client about the same lock wait for it.
const askAgainWithin = 10 * time.Second

// askOnce asks for one lock. If it is to be had now, the client is called as after an event.
func (s *Service) askOnce(b *block) {
	s.mu.Lock()
	caller := b.caller
	waits := !b.granted && !b.leaving && b.host.blocks[b.lock] == b
	s.mu.Unlock()
	var err error = causeway.ErrBlocked
	if waits {
		ctx, cancel := context.WithTimeout(s.ctx, askAgainWithin)
		_, err = s.cfg.Locker.Lock(ctx, &caller, b.lock.Handle, gateway.LockSpec{Span: b.lock.Span, Exclusive: b.lock.Exclusive, Wait: true})
		cancel()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.askedLocked(b)
	switch code := causeway.CodeOf(err); {
	case err == nil:
		s.grantedLocked(b)
	case code != causeway.ErrBlocked:
		s.cfg.Log.Debug("a lock that is waited for cannot be asked for again", "client", b.host.name, "volume", b.lock.Handle.Volume, "err", err)
	}
}

func (s *Service) askedLocked(b *block) {
	close(b.asking)
	b.asking = nil
}

// leaves says that the client does not want to wait any longer, and returns when nobody asks for the lock on its behalf.
func (s *Service) leaves(ctx context.Context, b *block) {
	s.mu.Lock()
	b.leaving = true
	asking := b.asking
	s.mu.Unlock()
	if asking == nil {
		return
	}
	select {
	case <-asking:
	case <-ctx.Done():
	}
}
