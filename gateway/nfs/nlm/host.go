package nlm

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
)

// maxLocals is how many addresses of ours are kept per client.
const maxLocals = 8

// host is a client that holds, held or wants locks.
type host struct {
	name string // as in lock owners
	gate sync.Mutex
	// Guarded by gate, which is held while the record is written and while the locks of an earlier life are released: no lock is
	// taken meanwhile.
	stored bool

	// Guarded by Service.mu.
	record    Record
	blocks    map[gateway.Lock]*block
	calls     int       // that work on it now
	used      time.Time // when the last one ended
	reserved  bool      // it has locked from a reserved port: what comes from others is not its lock manager
	notifying bool      // it is being told of our restart
}

// addLocked adds a client. Its record may be another's: it is stored again before the next lock, unless stored is set.
func (s *Service) addLocked(r Record, stored bool) *host {
	h := &host{name: r.Client(), stored: stored, record: r, blocks: make(map[gateway.Lock]*block), used: time.Now()}
	s.hosts[h.name] = h
	s.perAddr[r.Addr.Unmap()]++
	return h
}

// enter returns the host of a call that wants a lock, made if need be: ErrNoLocks if there are too many. leave follows.
func (s *Service) enter(name string, from netip.AddrPort) (*host, error) {
	addr := from.Addr().Unmap()
	key := clientName(name, addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[key]
	if h == nil {
		if len(s.hosts) >= s.cfg.MaxClients || s.perAddr[addr] >= s.cfg.MaxClientsPerAddr {
			return nil, causeway.ErrNoLocks
		}
		h = s.addLocked(s.record(key, Record{Name: string([]byte(name)), Addr: addr}), false)
	}
	h.calls++
	h.reserved = h.reserved || isReserved(from)
	return h, nil
}

// record returns what is known of a client that is new here: it may have been another gateway's.
func (s *Service) record(key string, fresh Record) Record {
	for _, r := range s.cfg.Records.At(fresh.Addr) {
		if r.Client() == key {
			return r
		}
	}
	return fresh
}

// isReserved reports a port that only the superuser of a host may send from.
func isReserved(from netip.AddrPort) bool { return from.Port() < 1024 }

func (s *Service) leave(h *host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.calls--
	h.used = time.Now()
}

// prepare makes sure, before a lock is taken, that nothing of an earlier life of the client is left, and that the client is on
// record if it is to be monitored.
func (s *Service) prepare(ctx context.Context, h *host, c *rpc.Call, state uint32, monitor bool) error {
	h.gate.Lock()
	defer h.gate.Unlock()
	s.mu.Lock()
	was := h.record.State
	restarted := laterState(was, state)
	changed := restarted || was == 0 && state != 0
	if changed {
		h.record.State = state
	}
	if local := localAddr(c); local.IsValid() && !slices.Contains(h.record.Locals, local) && len(h.record.Locals) < maxLocals {
		h.record.Locals = append(slices.Clone(h.record.Locals), local)
		changed = true
	}
	record := h.record
	s.mu.Unlock()
	if restarted {
		if err := s.release(ctx, h, "its state number has risen"); err != nil {
			s.mu.Lock()
			h.record.State = was // the next call tries again
			s.mu.Unlock()
			return err
		}
	}
	if !monitor || h.stored && !changed {
		return nil
	}
	if err := s.cfg.Records.Put(ctx, record); err != nil {
		s.cfg.Log.Error("record of a client could not be stored", "client", h.name, "op", "lock", "err", err)
		h.stored = false
		return causeway.ErrNoLocks
	}
	h.stored = true
	return nil
}

// laterState reports whether a client that took locks in one state is in a later life now. Zero is no state, even ones are
// "down".
func laterState(was, is uint32) bool {
	return was&1 == 1 && is&1 == 1 && int32(is-was) > 0
}

// localAddr is the address that the client called, invalid if a datagram socket does not tell.
func localAddr(c *rpc.Call) netip.Addr {
	if a := c.Local.Addr().Unmap(); a.IsValid() && !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

// release drops all locks of a client and all that waits for it.
func (s *Service) release(ctx context.Context, h *host, why string) error {
	s.mu.Lock()
	for _, b := range h.blocks {
		s.dropLocked(b)
	}
	s.counts.Released++
	s.mu.Unlock()
	s.cfg.Log.Info("locks of a client are released", "client", h.name, "why", why)
	return s.cfg.Locker.ReleaseClient(ctx, causeway.OwnerNLM, h.name)
}

// at returns the hosts of an address, also those that another gateway served until now.
func (s *Service) at(addr netip.Addr) []*host {
	others := s.cfg.Records.At(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range others {
		if s.hosts[r.Client()] == nil && len(s.hosts) < s.cfg.MaxClients && s.perAddr[addr] < s.cfg.MaxClientsPerAddr {
			s.addLocked(r, false)
		}
	}
	if s.perAddr[addr] == 0 {
		return nil
	}
	var list []*host
	for _, h := range s.hosts {
		if h.record.Addr.Unmap() == addr {
			list = append(list, h)
		}
	}
	return list
}
