package backendtest

import (
	"slices"

	"causeway"
)

// acl is a list with a named user and a mask.
func acl(user, named, group, mask, other causeway.Rights) *causeway.ACL {
	return &causeway.ACL{Entries: []causeway.ACLEntry{
		{Tag: causeway.ACLUserObj, Perm: user},
		{Tag: causeway.ACLUser, Perm: named, ID: 4242},
		{Tag: causeway.ACLGroupObj, Perm: group},
		{Tag: causeway.ACLMask, Perm: mask},
		{Tag: causeway.ACLOther, Perm: other},
	}}
}

func (v *volume) wantACL(id causeway.ObjectID, want *causeway.ACL) {
	v.Helper()
	got, err := v.s.ACL(v.ctx, id)
	v.ok(err)
	if a := v.stat(id); !a.Extended {
		v.check((a.ACL == nil) == (got == nil), "attributes that claim to be complete have acl %+v, the object %+v", a.ACL, got)
	}
	if want == nil {
		v.check(got == nil, "acl %+v, want none", got)
		return
	}
	v.check(got != nil && slices.Equal(got.Entries, want.Entries), "acl %+v, want %+v", got, want)
}

var aclTests = []test{
	{"ACL/not supported", func(v *volume) {
		if v.caps.ACLs {
			v.Skip("this store has ACLs")
		}
		f := v.file(v.root, "f")
		v.code(v.s.SetStat(v.ctx, f, &causeway.SetAttr{Mask: causeway.SetACL, ACL: acl(7, 5, 4, 7, 0)}), causeway.ErrNotSupp)
		v.wantACL(f, nil)
	}},
	{"ACL/set and removed", func(v *volume) {
		v.need(v.caps.ACLs)
		for _, typ := range []causeway.FileType{causeway.TypeRegular, causeway.TypeDirectory} {
			id := v.create(v.root, string(rune('a'+typ)), typ, 0o2750)
			v.wantACL(id, nil)
			want := acl(6, 7, 4, 6, 1)
			v.set(id, causeway.SetAttr{Mask: causeway.SetACL, ACL: want})
			v.wantACL(id, want)
			mode := v.stat(id).Mode
			v.check(mode&0o777 == 0o661, "mode %o: the group's bits are the mask", mode)
			v.set(id, causeway.SetAttr{Mask: causeway.SetACL})
			v.wantACL(id, nil)
		}
	}},
	{"ACL/no more than a mode", func(v *volume) {
		v.need(v.caps.ACLs)
		f := v.file(v.root, "f")
		v.set(f, causeway.SetAttr{Mask: causeway.SetACL, ACL: &causeway.ACL{Entries: []causeway.ACLEntry{
			{Tag: causeway.ACLUserObj, Perm: 7}, {Tag: causeway.ACLGroupObj, Perm: 5}, {Tag: causeway.ACLOther, Perm: 1}}}})
		a := v.stat(f)
		v.check(a.Mode == 0o751 && (a.Extended || a.ACL == nil), "mode %o, acl %+v", a.Mode, a.ACL)
	}},
	{"ACL/mode changes the mask", func(v *volume) {
		v.need(v.caps.ACLs)
		f := v.file(v.root, "f")
		v.set(f, causeway.SetAttr{Mask: causeway.SetACL, ACL: acl(7, 7, 7, 7, 0)})
		v.set(f, causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o640})
		v.wantACL(f, acl(6, 7, 7, 4, 0))
		v.check(v.stat(f).Mode == 0o640, "mode %o", v.stat(f).Mode)
	}},
	{"ACL/invalid", func(v *volume) {
		v.need(v.caps.ACLs)
		f := v.file(v.root, "f")
		for _, entries := range [][]causeway.ACLEntry{
			{{Tag: causeway.ACLUserObj, Perm: 7}},
			acl(7, 7, 7, 7, 7).Entries[:3],
			append(acl(7, 7, 7, 7, 7).Entries, causeway.ACLEntry{Tag: causeway.ACLMask, Perm: 7}),
			slices.Concat(acl(7, 7, 7, 7, 7).Entries[:3], acl(7, 7, 7, 7, 7).Entries[4:]), // a named user and no mask
		} {
			v.code(v.s.SetStat(v.ctx, f, &causeway.SetAttr{Mask: causeway.SetACL, ACL: &causeway.ACL{Entries: entries}}), causeway.ErrInval)
		}
		v.wantACL(f, nil)
	}},
	{"ACL/inherited", func(v *volume) {
		v.need(v.caps.ACLs)
		d := v.mkdir(v.root, "d")
		v.set(d, causeway.SetAttr{Mask: causeway.SetDefaultACL, DefaultACL: acl(7, 7, 5, 7, 4)})
		v.wantACL(d, nil)
		f := v.create(d, "f", causeway.TypeRegular, 0o640)
		v.wantACL(f, acl(6, 7, 5, 4, 0))
		v.check(v.stat(f).Mode == 0o640, "mode %o", v.stat(f).Mode)
		e := v.create(d, "e", causeway.TypeDirectory, 0o777)
		v.wantACL(e, acl(7, 7, 5, 7, 4))
		g := v.create(e, "g", causeway.TypeRegular, 0o666)
		v.wantACL(g, acl(6, 7, 5, 6, 4))
		v.set(d, causeway.SetAttr{Mask: causeway.SetDefaultACL})
		h := v.create(d, "h", causeway.TypeRegular, 0o644)
		v.wantACL(h, nil)
		v.check(v.stat(h).Mode == 0o644, "mode %o", v.stat(h).Mode)
	}},
	{"ACL/in listings", func(v *volume) {
		v.need(v.caps.ACLs)
		f := v.file(v.root, "f")
		want := acl(7, 1, 2, 3, 0)
		v.set(f, causeway.SetAttr{Mask: causeway.SetACL, ACL: want})
		_, err := v.s.List(v.ctx, v.root, 0, true, func(e *causeway.DirEntry) bool {
			if e.Name == "f" {
				v.check(e.Attr.Extended || e.Attr.ACL != nil && slices.Equal(e.Attr.ACL.Entries, want.Entries), "acl %+v, want %+v", e.Attr.ACL, want)
			}
			return true
		})
		v.ok(err)
	}},
}
