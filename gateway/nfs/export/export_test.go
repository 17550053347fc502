package export_test

import (
	"net/netip"
	"slices"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
)

var object = causeway.ObjectID{1}

func volume() *causeway.Volume {
	return &causeway.Volume{
		ID: 1, Name: "v", Keys: []causeway.HandleKey{{ID: 1}},
		Exports: []causeway.ExportRule{
			{Prefix: netip.MustParsePrefix("10.0.0.0/8"), ReadOnly: true, AnonUID: 100, AnonGID: 101},
			{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Squash: causeway.NoRootSquash, Secure: true},
			{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Squash: causeway.AllSquash, AnonUID: 200, AnonGID: 201},
			{Prefix: netip.MustParsePrefix("2001:db8::/32")},
		},
	}
}

func guard(t testing.TB, v *causeway.Volume) *export.Guard {
	t.Helper()
	cat := &gateway.Catalog{}
	if err := cat.Publish([]*causeway.Volume{v}); err != nil {
		t.Fatal(err)
	}
	return &export.Guard{Catalog: cat}
}

func call(remote string, uid, gid uint32, groups ...uint32) *rpc.Call {
	return &rpc.Call{Flavor: rpc.AuthSys, Remote: netip.MustParseAddrPort(remote), Cred: causeway.Cred{UID: uid, GID: gid, Groups: groups}}
}

func TestAdmit(t *testing.T) {
	for _, test := range []struct {
		name     string
		call     *rpc.Call
		err      error
		uid, gid uint32
		groups   []uint32
		readOnly bool
	}{
		{"user", call("10.9.0.1:5000", 5, 6, 7), nil, 5, 6, []uint32{7}, true},
		{"root is squashed, groups too", call("10.9.0.1:5000", 0, 0, 0, 7), nil, 100, 101, []uint32{101, 7}, true},
		{"longest prefix", call("10.1.0.1:900", 0, 0, 0), nil, 0, 0, []uint32{0}, false},
		{"insecure port", call("10.1.0.1:1024", 0, 0), causeway.ErrAccess, 0, 0, nil, false},
		{"last secure port", call("10.1.0.1:1023", 1, 1), nil, 1, 1, nil, false},
		{"all squash", call("10.2.0.1:5000", 5, 6, 7), nil, 200, 201, nil, false},
		{"no credential", &rpc.Call{Flavor: rpc.AuthNone, Remote: netip.MustParseAddrPort("10.9.0.1:5000"),
			Cred: causeway.Cred{UID: causeway.Nobody, GID: causeway.Nobody}}, nil, 100, 101, nil, true},
		{"v4 in v6", call("[::ffff:10.2.0.1]:5000", 5, 6, 7), nil, 200, 201, nil, false},
		{"v6", call("[2001:db8::1]:5000", 5, 6), nil, 5, 6, nil, false},
		{"no rule", call("192.0.2.1:900", 5, 6), causeway.ErrAccess, 0, 0, nil, false},
	} {
		v := volume()
		h, got, rule, err := guard(t, v).Admit(test.call, fh.Append(nil, v, object))
		c := &test.call.Caller
		if err != test.err || (err == nil) != (got == v && rule != nil && h.Object == object) {
			t.Errorf("%s: %v %v %v", test.name, h, rule, err)
		}
		if c.Cred.UID != test.uid || c.Cred.GID != test.gid || !slices.Equal(c.Cred.Groups, test.groups) || c.ReadOnly != test.readOnly {
			t.Errorf("%s: caller %+v", test.name, c)
		}
		if err == nil && c.Client != test.call.Remote.Addr().Unmap() {
			t.Errorf("%s: client %v", test.name, c.Client)
		}
	}
}

func TestReadOnlyVolumeAndBadHandles(t *testing.T) {
	v := volume()
	v.ReadOnly = true
	g, c := guard(t, v), call("[2001:db8::1]:5000", 5, 6)
	c.NoWait = true
	if _, _, _, err := g.Admit(c, fh.Append(nil, v, object)); err != nil || !c.Caller.ReadOnly || !c.Caller.NoWait {
		t.Error(err, c.Caller)
	}
	if _, _, _, err := g.Admit(c, []byte("forged")); err != causeway.ErrBadHandle {
		t.Error(err)
	}
	if _, _, _, err := g.Admit(c, fh.Append(nil, &causeway.Volume{ID: 2, Keys: v.Keys}, object)); err != causeway.ErrStale {
		t.Error(err)
	}
}

type groups struct {
	cold bool
	of   map[uint32][]uint32
}

func (g *groups) Groups(uid uint32, noWait bool) ([]uint32, error) {
	if noWait && g.cold {
		return nil, causeway.ErrWouldBlock
	}
	if l, ok := g.of[uid]; ok {
		return l, nil
	}
	return nil, causeway.ErrNoEnt
}

func TestGroupLookup(t *testing.T) {
	v := volume()
	g := guard(t, v)
	known := &groups{of: map[uint32][]uint32{5: {50, 0, 51}}}
	g.Groups = known
	wire := fh.Append(nil, v, object)
	c := call("10.9.0.1:5000", 5, 6, 7)
	if _, _, _, err := g.Admit(c, wire); err != nil || !slices.Equal(c.Caller.Cred.Groups, []uint32{50, 101, 51}) {
		t.Error(err, c.Caller.Cred)
	}
	if known.of[5][1] != 0 {
		t.Error("squashing wrote into the lookup's own list")
	}
	c = call("10.9.0.1:5000", 9, 6, 7)
	if _, _, _, err := g.Admit(c, wire); err != nil || !slices.Equal(c.Caller.Cred.Groups, []uint32{7}) {
		t.Error("a user unknown here keeps his claim:", err, c.Caller.Cred)
	}
	known.cold, c.NoWait = true, true
	if _, _, _, err := g.Admit(c, wire); err != causeway.ErrWouldBlock {
		t.Error(err)
	}
}

func TestNoAllocation(t *testing.T) {
	v := volume()
	g, c, wire := guard(t, v), call("10.9.0.1:5000", 0, 0, 0, 7), fh.Append(nil, v, object)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, _, err := g.Admit(c, wire); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Error("allocations:", n)
	}
}
