package near

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

// owner is the access part of an exclusive volume at another gateway: a real one, reached without a network.
type owner struct {
	*access.Engine
	asked     atomic.Int64
	meanwhile func(*gateway.GrantReply) // what happens while an answer is on its way
}

func (o *owner) Grant(ctx context.Context, s *gateway.GrantSpec) (gateway.GrantReply, error) {
	o.asked.Add(1)
	r, err := o.Engine.Grant(ctx, s)
	if f := o.meanwhile; f != nil && err == nil {
		f(&r)
	}
	return r, err
}

// Recall implements gateway.Holders: nobody is reached, so what is held ends by its lease.
func (o *owner) Recall(context.Context, string, *gateway.Recall) (gateway.Commit, error) {
	return gateway.Commit{}, causeway.ErrMoved
}

const lease = 10 * time.Second

var (
	root  = &gateway.Caller{}
	epoch = causeway.Epoch{Revision: 5}
)

// cached is a Cache of a volume with one file, at a clock that stands still until it is told to go on.
func cached(t *testing.T) (n *Cache, o *owner, h causeway.Handle, pass func(time.Duration)) {
	t.Helper()
	var now atomic.Int64
	clock := func() time.Duration { return time.Duration(now.Load()) }
	v := &causeway.Volume{ID: 7, Name: "v", Exclusive: true, Async: true}
	o = &owner{}
	o.Engine = access.New(access.Config{Node: "owner", Holders: o, Lease: lease, Quiet: time.Nanosecond, Now: clock})
	s := mem.New(mem.Config{Mode: 0o777})
	o.AttachAt(v, s, epoch)
	r, err := o.Root(t.Context(), root, 7)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := o.Create(t.Context(), root, r.Handle, "f", &gateway.CreateSpec{Type: causeway.TypeRegular})
	if err != nil {
		t.Fatal(err)
	}
	n, err = New(Config{Access: o, Node: "here", Now: clock, Renew: time.Hour, Leased: func(causeway.VolumeID) *causeway.Volume { return v }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		o.Wait()
	})
	now.Add(int64(time.Second)) // what has just changed is not leased
	return n, o, e.Handle, func(d time.Duration) { now.Add(int64(d)) }
}

// asks returns how often the owner is asked for attributes once.
func asks(t *testing.T, n *Cache, o *owner, h causeway.Handle) int64 {
	t.Helper()
	before := o.asked.Load()
	if _, err := n.GetAttr(t.Context(), root, h); err != nil {
		t.Fatal(err)
	}
	return o.asked.Load() - before
}

// TestLeaseEnds: what is leased is answered without a question, until something ends the lease.
func TestLeaseEnds(t *testing.T) {
	for name, x := range map[string]struct {
		end  func(n *Cache, h causeway.Handle, pass func(time.Duration))
		want int64
	}{
		"nothing":    {func(*Cache, causeway.Handle, func(time.Duration)) {}, 0},
		"its end":    {func(_ *Cache, _ causeway.Handle, pass func(time.Duration)) { pass(lease - lease/50) }, 1},
		"not yet":    {func(_ *Cache, _ causeway.Handle, pass func(time.Duration)) { pass(lease - lease/50 - 1) }, 0},
		"a drop":     {func(n *Cache, h causeway.Handle, _ func(time.Duration)) { n.Drop(h.Volume) }, 1},
		"a grant":    {func(n *Cache, h causeway.Handle, _ func(time.Duration)) { n.Granted(h, 1000) }, 1},
		"its recall": {func(n *Cache, h causeway.Handle, _ func(time.Duration)) { recallAttr(n, h, 1000, epoch) }, 1},
		"an earlier one's recall": {func(n *Cache, h causeway.Handle, _ func(time.Duration)) {
			recallAttr(n, h, 0, epoch)
		}, 0},
		"a later owner": {func(n *Cache, h causeway.Handle, _ func(time.Duration)) {
			_, _ = n.Reassert(context.Background(), h.Volume, causeway.Epoch{Revision: 6})
		}, 1},
		"an earlier owner": {func(n *Cache, h causeway.Handle, _ func(time.Duration)) {
			_, _ = n.Reassert(context.Background(), h.Volume, causeway.Epoch{Revision: 4})
			recallAttr(n, h, 1000, causeway.Epoch{Revision: 4})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n, o, h, pass := cached(t)
			if got := asks(t, n, o, h); got != 1 {
				t.Fatal("a miss asks", got)
			}
			if got := asks(t, n, o, h); got != 0 {
				t.Fatal("a hit asks", got)
			}
			x.end(n, h, pass)
			if got := asks(t, n, o, h); got != x.want {
				t.Errorf("%d questions, not %d", got, x.want)
			}
		})
	}
}

func recallAttr(n *Cache, h causeway.Handle, seq uint64, e causeway.Epoch) {
	_, _ = n.Recall(context.Background(), &gateway.Recall{Handle: h, Epoch: e, Seq: seq, Leases: causeway.LeaseAttr, Mode: causeway.IOReadWrite})
}

// TestRecallOvertakes: a lease whose recall came first is not relied on, and one of an owner that is no more neither.
func TestRecallOvertakes(t *testing.T) {
	for name, first := range map[string]func(n *Cache, h causeway.Handle, r *gateway.GrantReply){
		"its recall": func(n *Cache, h causeway.Handle, r *gateway.GrantReply) { recallAttr(n, h, r.Seq, epoch) },
		"a later owner": func(n *Cache, h causeway.Handle, _ *gateway.GrantReply) {
			_, _ = n.Reassert(t.Context(), h.Volume, causeway.Epoch{Revision: 6})
		},
		"the end of the membership": func(n *Cache, h causeway.Handle, _ *gateway.GrantReply) { n.Drop(h.Volume) },
	} {
		t.Run(name, func(t *testing.T) {
			n, o, h, _ := cached(t)
			o.meanwhile = func(r *gateway.GrantReply) { first(n, h, r) }
			if got := asks(t, n, o, h); got != 1 {
				t.Fatal(got)
			}
			o.meanwhile = nil
			if got := asks(t, n, o, h); got != 1 {
				t.Error("a lease that had ended before it came is relied on")
			}
		})
	}
}

// TestCutOff: a gateway that is no member any more relies on nothing: the others do not wait for its leases.
func TestCutOff(t *testing.T) {
	n, o, h, _ := cached(t)
	asks(t, n, o, h)
	root, err := o.Root(t.Context(), root, h.Volume)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Lookup(t.Context(), &gateway.Caller{}, root.Handle, "g"); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Fatal(err)
	}
	n.cfg.Valid = func() bool { return false }
	o.Lost("here")
	if _, _, err := o.Create(t.Context(), &gateway.Caller{}, root.Handle, "g", &gateway.CreateSpec{Type: causeway.TypeRegular}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Lookup(t.Context(), &gateway.Caller{}, root.Handle, "g"); err != nil {
		t.Error("a name that others have made meanwhile:", err)
	}
	if got := asks(t, n, o, h); got != 1 {
		t.Error("attributes are answered without a question by a gateway that is cut off")
	}
}
