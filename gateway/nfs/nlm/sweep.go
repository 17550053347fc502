package nlm

import (
	"context"
	"slices"
	"time"

	"causeway"
)

func (s *Service) sweepNowAndThen() {
	t := time.NewTicker(max(s.cfg.Idle/4, 10*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
			s.sweep(s.ctx)
		}
	}
}

// sweep forgets clients that have neither locks nor calls, so that they are not told of our next restart, and lock managers that
// are not called any more.
func (s *Service) sweep(ctx context.Context) {
	idle, stray := s.idleHosts(), s.cfg.Records.Stray()
	if len(idle)+len(stray) > 0 {
		locks, err := s.cfg.Locker.Locks(ctx)
		if err != nil {
			s.cfg.Log.Warn("clients cannot be swept", "op", "locks", "err", err)
			return
		}
		for _, l := range locks {
			if l.Owner.Kind == causeway.OwnerNLM {
				delete(idle, l.Owner.Client)
				stray = slices.DeleteFunc(stray, func(r Record) bool { return r.Client() == l.Owner.Client })
			}
		}
	}
	for _, r := range stray {
		if err := s.cfg.Records.Delete(ctx, r); err != nil {
			s.cfg.Log.Warn("record of a client could not be removed", "client", r.Client(), "err", err)
		}
	}
	for _, h := range idle {
		s.forget(ctx, h)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, p := range s.peers {
		if !p.calling {
			delete(s.peers, key) // a block that still waits has its own reference
		}
	}
}

// idleHosts returns those that have done nothing for a while, by name.
func (s *Service) idleHosts() map[string]*host {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make(map[string]*host)
	for name, h := range s.hosts {
		if s.idleLocked(h) {
			list[name] = h
		}
	}
	return list
}

func (s *Service) idleLocked(h *host) bool {
	return h.calls == 0 && !h.notifying && len(h.blocks) == 0 && time.Since(h.used) >= s.cfg.Idle
}

// forget drops a client, unless it has come back since: while its gate is held no lock is taken for it.
func (s *Service) forget(ctx context.Context, h *host) {
	h.gate.Lock()
	defer h.gate.Unlock()
	s.mu.Lock()
	record, idle := h.record, s.idleLocked(h)
	s.mu.Unlock()
	if !idle {
		return
	}
	if err := s.cfg.Records.Delete(ctx, record); err != nil {
		s.cfg.Log.Warn("record of a client could not be removed", "client", h.name, "err", err)
		return
	}
	h.stored = false
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.idleLocked(h) {
		return // it waits at the gate, and will be stored again
	}
	delete(s.hosts, h.name)
	if addr := record.Addr.Unmap(); s.perAddr[addr] > 1 {
		s.perAddr[addr]--
	} else {
		delete(s.perAddr, addr)
	}
}
