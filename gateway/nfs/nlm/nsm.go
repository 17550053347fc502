package nlm

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"causeway/gateway/nfs/rpc"
)

// Procedures of NSM (XNFS version 3W, chapter 11).
const (
	smNull     = 0
	smStat     = 1
	smMon      = 2
	smUnmon    = 3
	smUnmonAll = 4
	smNotify   = 6
)

// smFail is stat_fail: we monitor nobody for others. Local programs have a statd of their own.
const smFail = 1

// NSM returns the handler for version 1 of [NSMProgram].
func (s *Service) NSM() rpc.Handler { return rpc.HandlerFunc(s.handleNSM) }

func (s *Service) handleNSM(ctx context.Context, c *rpc.Call) rpc.Verdict {
	switch c.Proc {
	case smNull:
		return rpc.Done
	case smStat, smMon:
		c.Reply.Uint32(smFail)
		c.Reply.Uint32(s.cfg.Records.State())
		return rpc.Done
	case smUnmon, smUnmonAll:
		c.Reply.Uint32(s.cfg.Records.State())
		return rpc.Done
	case smNotify:
		if c.NoWait {
			return rpc.Park
		}
		return s.notified(ctx, c)
	}
	return rpc.ProcUnavail // SM_SIMU_CRASH, of all
}

// notified runs SM_NOTIFY: a host says that it has restarted. It can release its own locks only.
func (s *Service) notified(ctx context.Context, c *rpc.Call) rpc.Verdict {
	name, state := decodeName(&c.Args), c.Args.Uint32()
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	addr := c.Remote.Addr().Unmap()
	candidates := s.at(addr)
	matched, err := 0, error(nil)
	for _, h := range candidates {
		if sameHost(h.record.Name, name) || isAddr(name, addr) {
			err = errors.Join(err, s.restarted(ctx, h, state))
			matched++
		}
	}
	if matched == 0 && len(candidates) == 1 { // it calls itself something else here; nobody else is at its address
		err = s.restarted(ctx, candidates[0], state)
		matched++
	}
	s.cfg.Log.Debug("a host has restarted", "client", name, "addr", addr, "state", state, "known", matched)
	if err != nil {
		return rpc.SystemErr // it says so again
	}
	return rpc.Done
}

// restarted releases what a client took before the life with this state number. Notifications are repeated, and may come when
// the client has taken locks anew: those stay.
func (s *Service) restarted(ctx context.Context, h *host, state uint32) error {
	h.gate.Lock()
	defer h.gate.Unlock()
	s.mu.Lock()
	was := h.record.State
	h.record.State = state
	s.mu.Unlock()
	if was == state && state&1 == 1 {
		return nil
	}
	h.stored = false // the record has another state now; it is written with the next lock
	err := s.release(ctx, h, "SM_NOTIFY")
	if err != nil {
		s.mu.Lock()
		h.record.State = was // so that a repetition tries again
		s.mu.Unlock()
		s.cfg.Log.Error("locks of a client could not be released", "client", h.name, "op", "notify", "err", err)
	}
	return err
}

// sameHost compares names of hosts: case does not count, nor does a domain that only one of them has.
func sameHost(a, b string) bool {
	a, b = strings.TrimSuffix(strings.ToLower(a), "."), strings.TrimSuffix(strings.ToLower(b), ".")
	if a == b {
		return true
	}
	hostA, _, fullA := strings.Cut(a, ".")
	hostB, _, fullB := strings.Cut(b, ".")
	return hostA == hostB && fullA != fullB
}

// isAddr reports whether a name is the address itself: hosts without a name are called so.
func isAddr(name string, addr netip.Addr) bool {
	a, err := netip.ParseAddr(name)
	return err == nil && a.Unmap() == addr
}
