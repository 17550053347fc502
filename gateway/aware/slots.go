package aware

import (
	"context"
	"net/netip"
	"sync"
)

// slots are the places of calls that run. One address has half of them at most: what a call waits for may be its client's own doing, such as a lease
// over SMB that it does not give back.
type slots struct {
	all chan struct{}

	mu sync.Mutex
	of map[netip.Addr]*places
}

// places are those of an address.
type places struct {
	taken chan struct{}
	users int // calls that have one or wait; guarded by slots.mu
}

func newSlots(n int) slots {
	return slots{all: make(chan struct{}, n), of: map[netip.Addr]*places{}}
}

// take waits for a place: among those of the address first, so that who has too many waits behind himself.
func (s *slots) take(ctx context.Context, from netip.Addr) (*places, error) {
	s.mu.Lock()
	p := s.of[from]
	if p == nil {
		p = &places{taken: make(chan struct{}, max(cap(s.all)/2, 1))}
		s.of[from] = p
	}
	p.users++
	s.mu.Unlock()
	select {
	case p.taken <- struct{}{}:
	case <-ctx.Done():
		s.leave(from, p)
		return nil, ctx.Err()
	}
	select {
	case s.all <- struct{}{}:
		return p, nil
	case <-ctx.Done():
		<-p.taken
		s.leave(from, p)
		return nil, ctx.Err()
	}
}

func (s *slots) release(from netip.Addr, p *places) {
	<-s.all
	<-p.taken
	s.leave(from, p)
}

func (s *slots) leave(from netip.Addr, p *places) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.users--; p.users == 0 {
		delete(s.of, from)
	}
}
