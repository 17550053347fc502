package export_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/gateway/nfs/export"
)

func newGroups(t *testing.T, cfg export.GroupsConfig) *export.Groups {
	t.Helper()
	g, err := export.NewGroups(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGroupsAreCached(t *testing.T) {
	now, asked := time.Unix(0, 0), 0
	g := newGroups(t, export.GroupsConfig{TTL: time.Minute, MaxGroups: 2, Now: func() time.Time { return now }, Find: func(_ context.Context, uid uint32) ([]uint32, error) {
		asked++
		if uid == 404 {
			return nil, errors.New("no such user")
		}
		return []uint32{uid, uid + 1, uid + 2}, nil
	}})
	if _, err := g.Groups(5, true); err != causeway.ErrWouldBlock || asked != 0 {
		t.Error(err, asked)
	}
	for range 2 {
		if got, err := g.Groups(5, false); err != nil || !slices.Equal(got, []uint32{5, 6}) {
			t.Error(got, err)
		}
		if _, err := g.Groups(404, false); err == nil {
			t.Error("an unknown user has groups")
		}
	}
	if got, err := g.Groups(5, true); err != nil || len(got) != 2 || asked != 2 {
		t.Error(got, err, asked)
	}
	now = now.Add(time.Minute + 1)
	if _, err := g.Groups(5, true); err != causeway.ErrWouldBlock {
		t.Error("an old answer counts:", err)
	}
	g.Groups(5, false)
	if g.Forget(); asked != 3 {
		t.Error(asked)
	}
	if _, err := g.Groups(5, true); err != causeway.ErrWouldBlock {
		t.Error("a forgotten answer counts:", err)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	asked := 0
	g := newGroups(t, export.GroupsConfig{MaxUsers: 3, Find: func(_ context.Context, uid uint32) ([]uint32, error) { asked++; return nil, nil }})
	for uid := range uint32(10) {
		g.Groups(uid, false)
	}
	known := 0
	for uid := range uint32(10) {
		if _, err := g.Groups(uid, true); err == nil {
			known++
		}
	}
	if known != 3 || asked != 10 {
		t.Error(known, asked)
	}
}

// TestGroupsOfASlowDatabase: one question per user, a time-out, and no call without waiting is held up.
func TestGroupsOfASlowDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		g := newGroups(t, export.GroupsConfig{Timeout: time.Second, MaxFinding: 1, Find: func(ctx context.Context, uid uint32) ([]uint32, error) {
			asked.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if _, err := g.Groups(uint32(i%2), false); causeway.CodeOf(err) != causeway.ErrDelay {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if _, err := g.Groups(0, true); err != causeway.ErrWouldBlock {
			t.Error(err)
		}
		wg.Wait()
		if took := time.Since(began); took != time.Second || asked.Load() > 2 {
			t.Error(took, asked.Load())
		}
	})
}

func TestGroupsValidate(t *testing.T) {
	find := func(context.Context, uint32) ([]uint32, error) { return nil, nil }
	for _, cfg := range []export.GroupsConfig{{}, {Find: find, TTL: -1}, {Find: find, Timeout: -1}, {Find: find, MaxUsers: -1}, {Find: find, MaxGroups: -1}, {Find: find, MaxFinding: -1}} {
		if _, err := export.NewGroups(cfg); err == nil {
			t.Errorf("%+v passed", cfg)
		}
	}
}
