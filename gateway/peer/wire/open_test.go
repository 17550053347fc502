package wire

import (
	"context"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// desk remembers the last open that was asked for, and gives what it was told to give.
type desk struct {
	gateway.Stateful
	spec   gateway.OpenSpec
	opened gateway.Opened
	err    error
}

func (d *desk) Open(_ context.Context, _ *gateway.Caller, _ causeway.Handle, s *gateway.OpenSpec) (gateway.Opened, error) {
	d.spec = *s
	return d.opened, d.err
}

func (d *desk) Opens(context.Context, causeway.VolumeID) ([]gateway.Opened, error) {
	return []gateway.Opened{d.opened}, nil
}

func (d *desk) Acknowledge(_ context.Context, _ *gateway.Caller, _ causeway.Handle, id causeway.LeaseID, c causeway.Caching) (gateway.LeaseState, error) {
	return gateway.LeaseState{ID: id, Caching: c}, nil
}

var (
	someKey = rapid.Custom(func(t *rapid.T) (k [16]byte) {
		copy(k[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
		return k
	})
	someLease = rapid.Custom(func(t *rapid.T) causeway.LeaseID {
		return causeway.LeaseID{Kind: causeway.LeaseKind(rapid.IntRange(0, int(causeway.Delegation)).Draw(t, "kind")),
			Client: string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "client")), Key: someKey.Draw(t, "key")}
	})
	someCaching = rapid.Custom(func(t *rapid.T) causeway.Caching { return causeway.Caching(rapid.IntRange(0, 7).Draw(t, "caching")) })
	someKeep    = rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "keep"))
	})
)

// TestOpensSurvive: what is asked for and what is got, between gateways.
func TestOpensSurvive(t *testing.T) {
	e, root := engine()
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Custom(func(t *rapid.T) causeway.Sharing { return causeway.Sharing(rapid.IntRange(0, 7).Draw(t, "share")) })
		access := rapid.Custom(func(t *rapid.T) causeway.AccessMask { return causeway.AccessMask(rapid.Uint32().Draw(t, "access")) })
		want := gateway.OpenSpec{
			Name: string(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "name")), Disposition: gateway.Disposition(rapid.IntRange(0, 5).Draw(t, "disposition")),
			Create:  gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o640}},
			OnlyDir: rapid.Bool().Draw(t, "dir"), NoDir: rapid.Bool().Draw(t, "file"), Access: access.Draw(t, "access"), Share: share.Draw(t, "share"),
			DeleteOnClose: rapid.Bool().Draw(t, "delete"), Upgrade: rapid.Bool().Draw(t, "upgrade"), Reclaim: rapid.Bool().Draw(t, "reclaim"),
			Lease: gateway.LeaseSpec{ID: someLease.Draw(t, "lease"), Caching: someCaching.Draw(t, "caching"), Parent: someKey.Draw(t, "parent"),
				V2: true, Epoch: rapid.Uint16().Draw(t, "epoch")},
			Keep: gateway.KeepSpec{For: someKeep.Draw(t, "for"), GUID: someKey.Draw(t, "guid")},
		}
		d := &desk{opened: gateway.Opened{
			ID: someKey.Draw(t, "id"), Owner: someOwner.Draw(t, "owner"), Action: gateway.OpenAction(rapid.IntRange(0, 3).Draw(t, "action")),
			Dir: causeway.Change{After: someAttr.Draw(t, "after")}, Access: access.Draw(t, "got"), Share: share.Draw(t, "got"),
			Lease: gateway.LeaseState{ID: someLease.Draw(t, "lease"), Caching: someCaching.Draw(t, "caching"), Breaking: true,
				Epoch: rapid.Uint16().Draw(t, "epoch"), Parent: someKey.Draw(t, "parent")},
			Keep: someKeep.Draw(t, "keep"), Delete: rapid.Bool().Draw(t, "delete"),
		}}
		d.opened.Attr = someAttr.Draw(t, "attr")
		if id := someObject.Draw(t, "object"); !id.IsZero() {
			d.opened.Handle = causeway.Handle{Volume: 42, Object: id}
		}
		if rapid.Bool().Draw(t, "exists") {
			d.err = causeway.ErrExist
		}
		reply := over(t, Serve(t.Context(), e, d, "g2", over(t, Open(&gateway.Caller{}, root, &want))))
		got, err := OpenedOf(reply, 42)
		same(t, "spec", d.spec, want)
		same(t, "opened", got, d.opened)
		same(t, "error", err, d.err)
		list, err := OpensOf(over(t, Serve(t.Context(), e, d, "g2", &peerpb.Request{Op: peerpb.Op_OPENS, Volume: 42})), 42)
		same(t, "opens", list, []gateway.Opened{d.opened})
		same(t, "error", err, nil)
		ack := Lease(peerpb.Op_ACKNOWLEDGE, nil, root, want.Lease.ID)
		ack.Arg = uint32(want.Lease.Caching)
		state, err := LeaseOf(over(t, Serve(t.Context(), e, d, "g2", over(t, ack))))
		same(t, "lease", state, gateway.LeaseState{ID: want.Lease.ID, Caching: want.Lease.Caching})
		same(t, "error", err, nil)
	})
}

// TestEventsSurvive: events of all kinds.
func TestEventsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := causeway.Handle{Volume: 42, Object: someObject.Draw(t, "object")}
		for _, want := range []gateway.Event{
			{Kind: gateway.LockGranted, Lock: gateway.Lock{Handle: h, Owner: someOwner.Draw(t, "owner"), Span: someSpan.Draw(t, "span")}},
			{Kind: gateway.LeaseBroken, Break: gateway.Break{Handle: h, Owner: someOwner.Draw(t, "owner"), ID: someLease.Draw(t, "lease"), Open: someKey.Draw(t, "open"),
				From: someCaching.Draw(t, "from"), To: someCaching.Draw(t, "to"), Epoch: rapid.Uint16().Draw(t, "epoch"), Ack: true, Within: someKeep.Draw(t, "within")}},
			{Kind: gateway.OpenLost, Break: gateway.Break{Handle: h, Open: someKey.Draw(t, "open")}},
			{Kind: gateway.Noticed, Watch: gateway.WatchID{Owner: someOwner.Draw(t, "owner"), Open: someKey.Draw(t, "open")}, Missed: true,
				Notices: []gateway.Notice{{Action: gateway.RenamedFrom, Name: "a/b\xff"}, {Action: gateway.RenamedTo, Name: "c"}}},
		} {
			got, err := EventOf(over(t, Event(&want)))
			same(t, "event", got, want)
			same(t, "error", err, nil)
		}
	})
}

// FuzzOpen: any message for protocols that open is executed or refused.
func FuzzOpen(f *testing.F) {
	e, root := engine()
	for _, r := range []*peerpb.Request{
		Open(&gateway.Caller{}, root, &gateway.OpenSpec{Name: "x", Lease: gateway.LeaseSpec{ID: causeway.LeaseID{Kind: 1}}}),
		Event(&gateway.Event{Kind: gateway.Noticed, Notices: []gateway.Notice{{Action: 1, Name: "x"}}}),
		Lease(peerpb.Op_ACKNOWLEDGE, nil, root, causeway.LeaseID{Kind: 1}),
	} {
		b, _ := proto.Marshal(r)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, m := &peerpb.Request{}, &peerpb.Reply{}
		if proto.Unmarshal(b, r) == nil {
			EventOf(r)
			switch r.Op {
			case peerpb.Op_OPEN, peerpb.Op_ACKNOWLEDGE, peerpb.Op_OPENS:
				over(t, Serve(context.Background(), e, &desk{}, "g2", r))
			}
		}
		if proto.Unmarshal(b, m) == nil {
			OpenedOf(m, 42)
			OpensOf(m, 42)
			LeaseOf(m)
		}
	})
}
