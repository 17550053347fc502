package security

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"causeway"
)

func file(mode uint32) *causeway.Attr {
	return &causeway.Attr{Type: causeway.TypeRegular, Mode: mode, UID: 1000, GID: 100}
}

var (
	owner    = &causeway.Cred{UID: 1000, GID: 100}
	stranger = &causeway.Cred{UID: 7, GID: 8, Groups: []uint32{9}}
)

// TestGranted: the first entry about a right decides it, owners may read and change the list unless it speaks of their rights, and what is
// meant for those who create below counts for nobody here.
func TestGranted(t *testing.T) {
	const implied = ReadControl | WriteDAC
	me, group, elsewhere := UserSID(1000), GroupSID(9), NewSID(5, 21, 1, 2, 3, 1000)
	for name, c := range map[string]struct {
		list []ACE
		cred *causeway.Cred
		mode uint32
		want Mask
		no   bool // no list, which is not an empty one
	}{
		"empty":                 {cred: owner, mode: 0o600, want: implied},
		"empty, for others":     {cred: stranger, mode: 0o600},
		"none":                  {no: true, cred: stranger, mode: 0o666, want: FileAll},
		"none of one read-only": {no: true, cred: stranger, mode: 0o444, want: FileAll &^ (WriteData | AppendData)},
		"generic":               {list: []ACE{{Allow, 0, GenericRead, Everyone}}, cred: stranger, mode: 0o600, want: FileGenericRead},
		"denied first":          {list: []ACE{{Deny, 0, ReadData, group}, {Allow, 0, ReadData | ReadEA, Everyone}}, cred: stranger, mode: 0o600, want: ReadEA},
		"denied too late":       {list: []ACE{{Allow, 0, ReadData, Everyone}, {Deny, 0, ReadData, group}}, cred: stranger, mode: 0o600, want: ReadData},
		"of owners":             {list: []ACE{{Allow, 0, ReadData, me}, {Allow, 0, WriteData, OwnerRights}}, cred: owner, mode: 0o600, want: ReadData | WriteData},
		"of owners, for others": {list: []ACE{{Allow, 0, WriteData, OwnerRights}}, cred: stranger, mode: 0o600},
		"for creators":          {list: []ACE{{Allow, 0, FileAll, CreatorOwner}}, cred: owner, mode: 0o600, want: implied},
		"for those below":       {list: []ACE{{Allow, InheritOnly | ObjectInherit, FileAll, Everyone}}, cred: stranger, mode: 0o600},
		"for people elsewhere":  {list: []ACE{{Allow, 0, FileAll, elsewhere}}, cred: stranger, mode: 0o600},
		"read-only":             {list: []ACE{{Allow, 0, FileAll, me}}, cred: owner, mode: 0o400, want: FileAll &^ (WriteData | AppendData)},
	} {
		d := &Descriptor{Control: ControlSelfRelative | ControlDACLPresent, Owner: me, DACL: &ACL{Entries: c.list}}
		if c.no {
			d.DACL = nil
		}
		got, ok := Granted(d.AppendBinary(nil), c.cred, file(c.mode))
		if !ok || Mask(got) != c.want {
			t.Errorf("%s: %x, not %x", name, got, c.want)
		}
	}
	if _, ok := Granted([]byte{1, 2, 3}, owner, file(0o600)); ok {
		t.Error("what cannot be read says something")
	}
}

// TestInherit follows [MS-DTYP] 2.5.3.4.2: what an entry of a directory becomes in a file and in a directory below.
func TestInherit(t *testing.T) {
	const oi, ci, np, io = ObjectInherit, ContainerInherit, NoPropagate, InheritOnly
	me := UserSID(5)
	for _, c := range []struct {
		flags     uint8
		sid       SID
		file, dir []ACE
	}{
		{0, Everyone, nil, nil},
		{oi, Everyone, []ACE{{Allow, 0, ReadData, Everyone}}, []ACE{{Allow, oi | io, ReadData, Everyone}}},
		{ci, Everyone, nil, []ACE{{Allow, ci, ReadData, Everyone}}},
		{oi | ci | io, Everyone, []ACE{{Allow, 0, ReadData, Everyone}}, []ACE{{Allow, oi | ci, ReadData, Everyone}}},
		{oi | np, Everyone, []ACE{{Allow, 0, ReadData, Everyone}}, nil},
		{ci | np, Everyone, nil, []ACE{{Allow, 0, ReadData, Everyone}}},
		{oi | ci, CreatorOwner, []ACE{{Allow, 0, ReadData, me}}, []ACE{{Allow, 0, ReadData, me}, {Allow, oi | ci | io, ReadData, CreatorOwner}}},
		{ci | np, CreatorGroup, nil, []ACE{{Allow, 0, ReadData, GroupSID(6)}}},
		{oi, CreatorOwner, []ACE{{Allow, 0, ReadData, me}}, []ACE{{Allow, oi | io, ReadData, CreatorOwner}}},
	} {
		for _, auto := range []bool{false, true} {
			parent := &Descriptor{Control: ControlDACLPresent, DACL: &ACL{Entries: []ACE{{Allow, c.flags, ReadData, c.sid}}}}
			if auto {
				parent.Control |= ControlInherited
			}
			for dir, want := range map[bool][]ACE{false: c.file, true: c.dir} {
				d := Inherit(parent, 5, 6, dir)
				if d == nil {
					if want != nil {
						t.Errorf("flags %x, directory %v: nothing", c.flags, dir)
					}
					continue
				}
				var got []ACE
				for _, e := range d.DACL.Entries {
					if auto != (e.Flags&Inherited != 0) || auto != (d.Control&ControlInherited != 0) {
						t.Errorf("flags %x: mark %x %x", c.flags, e.Flags, d.Control)
					}
					e.Flags &^= Inherited
					got = append(got, e)
				}
				if !reflect.DeepEqual(got, want) || d.Owner != me {
					t.Errorf("flags %x, directory %v: %v", c.flags, dir, got)
				}
			}
		}
	}
}

// TestProjectionGivesNoMore: whoever is named in a list, or in no group of it, gets by mode and access list no right to read or write a file
// that the list itself does not give. (Denials of groups do not reach who is named himself, as Change says: there are none here.)
func TestProjectionGivesNoMore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sids := []SID{UserSID(1000), UserSID(7), GroupSID(100), Everyone, OwnerRights, CreatorOwner, NewSID(5, 21, 9, 9, 9, 500), System}
	for range 20000 {
		d := &Descriptor{Control: ControlSelfRelative | ControlDACLPresent, DACL: &ACL{}}
		for range r.IntN(6) {
			e := ACE{ACEType(r.IntN(2)), uint8(r.IntN(16)), Mask(r.Uint32()) & FileAll, sids[r.IntN(len(sids))]}
			if PrincipalOf(e.SID).Kind == Group {
				e.Type = Allow
			}
			d.DACL.Entries = append(d.DACL.Entries, e)
		}
		a := file(0o600)
		set, err := Project(d, PartDACL, a)
		if err != nil {
			t.Fatal(err)
		}
		a.Mode, a.ACL = set.Mode, set.ACL
		for _, c := range []*causeway.Cred{owner, {UID: 7, GID: 8}, {UID: 9, GID: 9}} {
			got, may := causeway.Permit(c, a, causeway.MayRead|causeway.MayWrite), Mask(0)
			if got&causeway.MayRead != 0 {
				may |= ReadData
			}
			if got&causeway.MayWrite != 0 {
				may |= WriteData
			}
			if more := may &^ d.granted(c, a); more != 0 {
				t.Fatalf("user %d gets %x more by mode %o and %v than by %v", c.UID, more, a.Mode, a.ACL, d.DACL.Entries)
			}
		}
	}
}

// TestKeep: what is kept of what is set.
func TestKeep(t *testing.T) {
	old := DescriptorOf(file(0o640), nil)
	change := &Descriptor{Control: ControlDACLPresent | ControlInherited | ControlInheritAsked, Owner: UserSID(3),
		DACL: &ACL{Entries: []ACE{{Allow, Inherited, GenericAll, Everyone}}}}
	d := Keep(old, change, PartDACL)
	if d.Owner != old.Owner || d.Control != ControlSelfRelative|ControlDACLPresent|ControlInherited || d.DACL.Entries[0] != (ACE{Allow, Inherited, FileAll, Everyone}) {
		t.Errorf("%+v", d)
	}
	change.Control &^= ControlInheritAsked
	if d := Keep(old, change, PartDACL|PartOwner); d.Control&ControlInherited != 0 || d.Owner != change.Owner {
		t.Errorf("%+v", d)
	}
	if d := Keep(old, change, PartOwner); !reflect.DeepEqual(d.DACL, old.DACL) || d.Control != old.Control {
		t.Errorf("%+v", d)
	}
	if d := Keep(old, &Descriptor{Control: ControlDACLPresent}, PartDACL); d.DACL != nil || d.Control&ControlDACLPresent == 0 {
		t.Errorf("%+v", d)
	}
}

// TestShown: what a directory shows says of itself what its mode does, and hands down to new files and directories what they get anyway.
func TestShown(t *testing.T) {
	dir := &causeway.Attr{Type: causeway.TypeDirectory, Mode: 0o750, UID: 1000, GID: 100}
	d := Shown(dir)
	for _, c := range []*causeway.Cred{owner, stranger, {UID: 3, GID: 100}} {
		want := causeway.Permit(c, dir, 7)
		if got := d.granted(c, dir).Rights(); got != want {
			t.Errorf("user %d: %o, not %o", c.UID, got, want)
		}
	}
	for isDir, mode := range map[bool]uint32{false: 0o744, true: 0o755} {
		a := file(0)
		if isDir {
			a.Type = causeway.TypeDirectory
		}
		set, err := Project(Inherit(d, 1000, 100, isDir), PartDACL, a)
		if err != nil || set.Mode != mode || set.ACL != nil {
			t.Errorf("directory %v: %o %v %v", isDir, set.Mode, set.ACL, err)
		}
	}
	if got, want := Shown(file(0o640)), DescriptorOf(file(0o640), nil); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
