package nlm

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"causeway"
)

// Unlock gives up what clients hold and wait for, on an operator's word that they will not come back: the one of this name, as
// causeway.Owner has it, or all of an address. NLM has no leases, and nobody but the client itself would ever say so; one that lives loses
// its locks without knowing. It returns the names of those that held something, and ErrDelay while that is not known of all volumes.
func (s *Service) Unlock(ctx context.Context, client string) ([]string, error) {
	if a, err := netip.ParseAddr(client); err == nil {
		client = a.Unmap().String()
	}
	locks, err := s.cfg.Locker.Locks(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]bool)
	for _, l := range locks {
		if name := l.Owner.Client; l.Owner.Kind == causeway.OwnerNLM && (name == client || strings.HasSuffix(name, "@"+client)) {
			found[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(found))
	for _, name := range names {
		if err := s.unlockClient(ctx, name); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// unlockClient lets no lock of the client pass meanwhile, if it is one of this gateway's.
func (s *Service) unlockClient(ctx context.Context, name string) error {
	s.mu.Lock()
	h := s.hosts[name]
	s.mu.Unlock()
	if h == nil {
		s.cfg.Log.Info("locks of a client are released", "client", name, "why", "an operator says so")
		return s.cfg.Locker.ReleaseClient(ctx, causeway.OwnerNLM, name)
	}
	h.gate.Lock()
	defer h.gate.Unlock()
	return s.release(ctx, h, "an operator says so")
}
