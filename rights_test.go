package causeway

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"testing"
)

func TestPermit(t *testing.T) {
	acl := &ACL{[]ACLEntry{
		{ACLUserObj, 7, 0}, {ACLUser, 6, 20}, {ACLGroupObj, MayExec, 0}, {ACLGroup, MayRead, 30}, {ACLGroup, MayWrite, 31}, {ACLMask, 6, 0}, {ACLOther, 1, 0},
	}}
	file := func(mode uint32, acl *ACL) *Attr {
		return &Attr{Type: TypeRegular, Mode: mode, UID: 10, GID: 11, ACL: acl}
	}
	dir := &Attr{Type: TypeDirectory, UID: 10, GID: 11}
	for _, c := range []struct {
		name string
		cred Cred
		attr *Attr
		want Rights
	}{
		{"owner", Cred{UID: 10}, file(0o640, nil), 6},
		{"the owner's bits alone count for him", Cred{UID: 10, GID: 11}, file(0o077, nil), 0},
		{"group", Cred{UID: 1, GID: 11}, file(0o640, nil), 4},
		{"supplementary group", Cred{UID: 1, Groups: []uint32{5, 11}}, file(0o640, nil), 4},
		{"the group's bits alone count for members", Cred{UID: 1, GID: 11}, file(0o607, nil), 0},
		{"other", Cred{UID: 1}, file(0o641, nil), 1},
		{"root", Cred{}, file(0, nil), 6},
		{"root executes what someone may", Cred{}, file(0o010, nil), 7},
		{"root searches", Cred{}, dir, 7},
		{"ACL: owner", Cred{UID: 10}, file(0o760, acl), 7},
		{"ACL: named user, masked", Cred{UID: 20, GID: 30}, file(0o761, acl), 6},
		{"ACL: owning group, masked", Cred{UID: 1, GID: 11}, file(0o761, acl), 0},
		{"ACL: two groups add up", Cred{UID: 1, GID: 30, Groups: []uint32{31}}, file(0o761, acl), 6},
		{"ACL: one group", Cred{UID: 1, GID: 31}, file(0o761, acl), 2},
		{"ACL: other", Cred{UID: 1}, file(0o761, acl), 1},
	} {
		if got := Permit(&c.cred, c.attr, 7); got != c.want {
			t.Errorf("%s: got %03b, want %03b", c.name, got, c.want)
		}
		for want := Rights(0); want <= 7; want++ {
			if got := Permit(&c.cred, c.attr, want); got&^want != 0 {
				t.Errorf("%s: asked for %03b, got %03b", c.name, want, got)
			}
		}
	}
}

func TestPermitOwner(t *testing.T) {
	a := &Attr{Type: TypeRegular, Mode: 0o011, UID: 10, GID: 11}
	for _, c := range []struct {
		cred Cred
		want Rights
	}{{Cred{UID: 10}, MayRead | MayWrite}, {Cred{UID: 1, GID: 11}, MayRead}, {Cred{UID: 1}, MayRead}} {
		if got := PermitOwner(&c.cred, a, MayRead|MayWrite); got != c.want {
			t.Errorf("uid %d: got %03b, want %03b", c.cred.UID, got, c.want)
		}
	}
	if got := PermitOwner(&Cred{UID: 1}, &Attr{Type: TypeRegular, Mode: 0o700, UID: 10}, 7); got != 0 {
		t.Errorf("a stranger got %03b", got)
	}
}

func TestRule(t *testing.T) {
	rule := func(p string, ro bool) ExportRule {
		return ExportRule{Prefix: netip.MustParsePrefix(p), ReadOnly: ro, AnonUID: Nobody, AnonGID: Nobody}
	}
	v := Volume{Exports: []ExportRule{rule("10.0.0.0/8", true), rule("10.1.0.0/16", false), rule("fd00::/8", false)}}
	for addr, want := range map[string]string{"10.1.2.3": "10.1.0.0/16", "10.2.0.0": "10.0.0.0/8", "::ffff:10.1.2.3": "10.1.0.0/16", "fd00::1": "fd00::/8"} {
		if r := v.Rule(netip.MustParseAddr(addr)); r == nil || r.Prefix.String() != want {
			t.Errorf("%s: %v, want %s", addr, r, want)
		}
	}
	for _, addr := range []string{"11.0.0.1", "::1", "127.0.0.1"} {
		if r := v.Rule(netip.MustParseAddr(addr)); r != nil {
			t.Errorf("%s: %v", addr, r)
		}
	}
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		squash Squash
		in     Cred
		want   string
	}{
		{RootSquash, Cred{0, 0, []uint32{0, 5}}, "{65534 65533 [65533 5]}"},
		{RootSquash, Cred{7, 0, []uint32{8}}, "{7 65533 [8]}"},
		{NoRootSquash, Cred{0, 0, []uint32{0}}, "{0 0 [0]}"},
		{AllSquash, Cred{7, 8, []uint32{9}}, "{65534 65533 []}"},
		{NoRootSquash, Cred{NoID, NoID, []uint32{NoID, 5}}, "{65534 65533 [65533 5]}"},
	} {
		r := ExportRule{Squash: c.squash, AnonUID: 65534, AnonGID: 65533}
		r.Apply(&c.in)
		if got := fmt.Sprint(c.in); got != c.want {
			t.Errorf("squash %d: got %s, want %s", c.squash, got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	all, none := Span{0, ToEOF}, Span{5, 0}
	for _, c := range []struct {
		a, b Span
		want bool
	}{
		{Span{0, 10}, Span{9, 1}, true}, {Span{0, 10}, Span{10, 1}, false}, {all, Span{math.MaxUint64 - 1, 1}, true}, {all, none, false},
		{Span{math.MaxUint64 - 1, 10}, Span{math.MaxUint64 - 1, 1}, true}, {Span{5, ToEOF}, Span{0, 5}, false},
	} {
		if c.a.Overlaps(c.b) != c.want || c.b.Overlaps(c.a) != c.want {
			t.Errorf("%v and %v: want %v", c.a, c.b, c.want)
		}
	}
}

func TestCodeOf(t *testing.T) {
	inner := &Error{Op: "open", Code: ErrNoSpc, Err: context.Canceled}
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, OK}, {ErrNoEnt, ErrNoEnt}, {inner, ErrNoSpc}, {fmt.Errorf("x: %w", inner), ErrNoSpc}, {fmt.Errorf("x: %w", ErrLoop), ErrLoop},
		{context.DeadlineExceeded, ErrDelay}, {fmt.Errorf("unknown"), ErrServerFault},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
	for c := OK; c < codes; c++ {
		if codeNames[c] == "" {
			t.Errorf("code %d has no name", c)
		}
	}
}

func TestEpoch(t *testing.T) {
	order := []Epoch{{0, 0}, {0, 7}, {1, 2}, {1, 3}}
	for i, e := range order {
		for j, f := range order {
			if e.Before(f) != (i < j) {
				t.Errorf("%v before %v", e, f)
			}
		}
	}
}

func TestHashSpreads(t *testing.T) {
	buckets := make([]int, 64)
	for i := range 64 * 100 {
		buckets[Handle{1, ObjectID{0, byte(i), byte(i >> 8)}}.Hash()%64]++
	}
	for i, n := range buckets {
		if n < 30 || n > 300 {
			t.Errorf("bucket %d has %d of 6400", i, n)
		}
	}
}
