package peer

import (
	"context"
	"sync"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// TestWatchedOn: who watches a directory through a gateway goes on to be told when another gateway administers the volume, is told that
// he may have missed something, and is told nothing more once he has ended that. That no front at the administering gateway knows his kind does not
// matter.
func TestWatchedOn(t *testing.T) {
	s := newSite(t, options{gates: 3})
	var mu sync.Mutex
	seen, missed := map[string]int{}, 0
	s.g[1].router.Subscribe(causeway.OwnerSMB, eventsFunc(func(_ context.Context, e gateway.Event) error {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range e.Notices {
			seen[n.Name]++
		}
		if e.Missed {
			missed++
		}
		return nil
	}))
	now := func(of func() int) int {
		mu.Lock()
		defer mu.Unlock()
		return of()
	}
	root := s.root(s.g[1])
	c := gatewaytest.Root()
	c.Owner = causeway.Owner{Kind: causeway.OwnerSMB, Client: "c"}
	id := gateway.WatchID{Owner: c.Owner, Open: causeway.OpenID{9}}
	must(t, s.g[1].router.Watch(t.Context(), c, root, id, gateway.NoticeFileName, false))
	for i, owner := range []int{2, 1, 0, 2} { // one that watches itself is among them
		s.shut()
		s.engineOf(s.owner).Detach(vol)
		s.open(owner)
		until(t, "told to look again", func() bool { return now(func() int { return missed }) > i })
		name := string(rune('a' + i))
		_, err := s.g[0].create(name)
		must(t, err)
		until(t, "told by the next owner, "+s.g[owner].name, func() bool { return now(func() int { return seen[name] }) > 0 })
	}
	must(t, s.g[1].router.Unwatch(t.Context(), root, id))
	s.shut()
	s.engineOf(s.owner).Detach(vol)
	s.open(0)
	other := gateway.WatchID{Owner: c.Owner, Open: causeway.OpenID{10}}
	must(t, s.g[1].router.Watch(t.Context(), c, root, other, gateway.NoticeFileName, false))
	_, err := s.g[0].create("last")
	must(t, err)
	until(t, "told", func() bool { return now(func() int { return seen["last"] }) > 0 })
	if n := now(func() int { return max(seen["a"], seen["b"], seen["c"], seen["d"], seen["last"]) }); n != 1 {
		t.Errorf("told %d times of one change: %v", n, seen)
	}
	must(t, s.g[1].router.Unwatch(t.Context(), root, other))
}

func (s *site) engineOf(owner int) interface{ Detach(causeway.VolumeID) } { return s.g[owner].engine }
