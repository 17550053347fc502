package access_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

// unreached are holders that are asked and do not answer.
type unreached struct{ asked chan struct{} }

func (u *unreached) Recall(ctx context.Context, _ string, _ *gateway.Recall) (gateway.Commit, error) {
	u.asked <- struct{}{}
	<-ctx.Done()
	return gateway.Commit{}, causeway.ErrDelay
}

// TestOwnershipEndsWhileAChangeWaits: a change that waits for the lease of a gateway that is not reached is not made when this one has lost the
// volume meanwhile, or may change nothing any more, or again but in another life: others have gone on since.
func TestOwnershipEndsWhileAChangeWaits(t *testing.T) {
	type site struct {
		*access.Engine
		alive  atomic.Bool
		life   atomic.Uint64
		volume *causeway.Volume
		store  *mem.Store
		dir, f causeway.Handle
	}
	by := &gateway.Caller{}
	changes := map[string]func(s *site) error{
		"create": func(s *site) error {
			_, _, err := s.Create(t.Context(), by, s.dir, "new", &gateway.CreateSpec{Type: causeway.TypeRegular})
			return err
		},
		"remove": func(s *site) error {
			_, err := s.Remove(t.Context(), by, s.dir, "f", gateway.RemoveFile)
			return err
		},
		"rename": func(s *site) error {
			_, _, err := s.Rename(t.Context(), by, s.dir, "f", s.dir, "new")
			return err
		},
		"link": func(s *site) error {
			_, _, err := s.Link(t.Context(), by, s.f, s.dir, "new")
			return err
		},
		"attributes": func(s *site) error {
			_, err := s.SetAttr(t.Context(), by, s.dir, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o700}, nil)
			return err
		},
	}
	ends := map[string]struct {
		end  func(s *site)
		want causeway.Code
	}{
		"nothing":        {func(*site) {}, causeway.OK},
		"no member":      {func(s *site) { s.alive.Store(false) }, causeway.ErrDelay},
		"a member again": {func(s *site) { s.life.Add(1) }, causeway.ErrDelay},
		"an owner again": {func(s *site) { s.AttachAt(s.volume, s.store, causeway.Epoch{Revision: 9}) }, causeway.ErrDelay},
		"no owner":       {func(s *site) { s.Detach(s.volume.ID) }, causeway.ErrDelay},
	}
	for what, change := range changes {
		for how, x := range ends {
			t.Run(what+", "+how, func(t *testing.T) {
				t.Parallel()
				others := &unreached{make(chan struct{}, 100)}
				s := &site{volume: &causeway.Volume{ID: 7, Name: "v", Exclusive: true, Async: true}, store: mem.New(mem.Config{Mode: 0o777})}
				s.alive.Store(true)
				s.Engine = access.New(access.Config{
					Node: "here", Holders: others, Lease: 300 * time.Millisecond, Quiet: time.Nanosecond,
					Alive: func(time.Duration) bool { return s.alive.Load() }, Life: s.life.Load,
				})
				s.AttachAt(s.volume, s.store, causeway.Epoch{Revision: 5})
				defer s.Wait()
				root, err := s.Root(t.Context(), by, 7)
				want(t, err, causeway.OK)
				s.dir = root.Handle
				made, _, err := s.Create(t.Context(), by, s.dir, "f", &gateway.CreateSpec{Type: causeway.TypeRegular})
				want(t, err, causeway.OK)
				s.f = made.Handle
				before, err := s.store.Stat(t.Context(), s.dir.Object)
				want(t, err, causeway.OK)
				grant, err := s.Grant(t.Context(), &gateway.GrantSpec{Handle: s.dir, Holder: "there", Leases: causeway.LeaseAttr | causeway.LeaseNames})
				want(t, err, causeway.OK)
				if grant.Leases == 0 {
					t.Fatal("nothing is leased")
				}
				done := make(chan error, 1)
				go func() { done <- change(s) }()
				<-others.asked
				x.end(s)
				want(t, <-done, x.want)
				after, err := s.store.Stat(t.Context(), s.dir.Object)
				want(t, err, causeway.OK)
				if changed := after.Ctime != before.Ctime || after.Change != before.Change; changed != (x.want == causeway.OK) {
					t.Errorf("changed: %v", changed)
				}
			})
		}
	}
}
