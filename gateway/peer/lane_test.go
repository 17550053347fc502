package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// stable counts rounds, and lets a test hold or fail them.
type stable struct {
	inner
	rounds, objects atomic.Int32
	hold            chan struct{} // nil: at once
	err             error
}

func (p *stable) Persist(ctx context.Context, v causeway.VolumeID, ids ...causeway.ObjectID) error {
	p.rounds.Add(1)
	p.objects.Add(int32(len(ids)))
	if p.hold != nil {
		<-p.hold
	}
	if p.err != nil {
		return p.err
	}
	return p.inner.Persist(ctx, v, ids...)
}

// persist gives a gateway something before its storage.
func (m *member) persist(p *stable) {
	s := m.peers.services
	p.inner = s.Access
	s.Access = p
	m.peers.Offer(s)
}

// TestChangesShareRounds: changes that two gateways send while one is made stable are made meanwhile, and are made stable together.
func TestChangesShareRounds(t *testing.T) {
	const each = 20
	s := newSite(t, options{gates: 3})
	p := &stable{hold: make(chan struct{})}
	s.g[0].persist(p)
	var asking sync.WaitGroup
	var answered atomic.Int32
	for i, g := range s.g[1:] {
		for j := range each {
			asking.Go(func() {
				if _, err := g.create(fmt.Sprint(i, "-", j)); err != nil {
					t.Error(err)
				}
				answered.Add(1)
			})
		}
	}
	until(t, "all files", func() bool {
		n := 0
		_, _, err := s.g[0].router.ReadDir(t.Context(), &gateway.Caller{}, s.root(s.g[0]), 0, 0, func(*causeway.DirEntry) bool { n++; return true })
		return err == nil && n >= 2*each
	})
	if n := answered.Load(); n != 0 {
		t.Errorf("%d changes were answered before they were stable", n)
	}
	close(p.hold)
	asking.Wait()
	if n := p.rounds.Load(); n > each {
		t.Errorf("%d rounds for %d changes", n, 2*each)
	}
	if n := p.objects.Load(); n < 2*each+1 {
		t.Errorf("%d objects were made stable", n)
	}
}

// TestRoundFails: who asked for a change that could not be made stable is told so.
func TestRoundFails(t *testing.T) {
	s := newSite(t, options{})
	s.g[0].persist(&stable{err: causeway.ErrIO})
	if _, err := s.g[1].create("a"); causeway.CodeOf(err) != causeway.ErrIO {
		t.Error(err)
	}
}

// TestRoundIsLate: success is not told by who may own the volume no longer.
func TestRoundIsLate(t *testing.T) {
	s := newSite(t, options{})
	p := &stable{hold: make(chan struct{})}
	s.g[0].persist(p)
	done := make(chan error, 1)
	go func() {
		_, err := s.g[1].create("a")
		done <- err
	}()
	until(t, "the change", func() bool { return p.rounds.Load() > 0 })
	s.g[0].valid.Store(false)
	close(p.hold)
	if err := <-done; !errors.Is(err, gateway.ErrUnknown) {
		t.Error(err)
	}
	s.g[0].valid.Store(true)
}

// TestPrompt: a lane makes changes, and gives grants on single objects; what lists, moves bytes or may take long is not for it.
func TestPrompt(t *testing.T) {
	h := causeway.Handle{Volume: vol}
	for _, x := range []struct {
		r    *peerpb.Request
		want bool
	}{
		{wire.Create(nil, h, "a", &gateway.CreateSpec{Type: causeway.TypeRegular}), true},
		{wire.SetAttr(nil, h, &causeway.SetAttr{Mask: causeway.SetMode}, nil), true},
		{wire.SetAttr(nil, h, &causeway.SetAttr{Mask: causeway.SetSize}, nil), false},
		{wire.Grant(&gateway.GrantSpec{Handle: h, Mode: causeway.IORead}), true},
		{wire.Grant(&gateway.GrantSpec{Handle: h, Leases: causeway.LeaseNames, List: 5}), false},
		{wire.About(peerpb.Op_GETATTR, nil, h), false},
		{nil, false},
	} {
		if got := wire.Prompt(x.r); got != x.want {
			t.Errorf("%v: %v", x.r, got)
		}
	}
}
