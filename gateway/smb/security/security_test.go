package security

import (
	"encoding/hex"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cloudsoda/sddl"

	"causeway"
	"causeway/gateway/smb/ntstatus"
)

func TestSID(t *testing.T) {
	for text, binary := range map[string]string{
		"S-1-1-0":                       "010100000000000100000000",
		"S-1-5-32-544":                  "01020000000000052000000020020000",
		"S-1-22-1-4294967295":           "01020000000000160" + "1000000ffffffff",
		"S-1-0x010000000000-1":          "010101000000000001000000",
		"S-1-5-21-1-2-3-500":            "0105000000000005" + "15000000" + "01000000" + "02000000" + "03000000" + "f4010000",
		"S-1-5":                         "0100000000000005",
		"S-1-5-1-2-3-4-5-6-7-8-9-10-11": "010b000000000005" + "01000000020000000300000004000000050000000600000007000000080000000900000" + "00a0000000b000000",
	} {
		raw, _ := hex.DecodeString(binary)
		s, n, err := DecodeSID(raw)
		if s.String() != text || n != len(raw) || err != nil {
			t.Error(text, s, n, err)
		}
		if got := hex.EncodeToString(s.AppendBinary(nil)); got != binary {
			t.Error(text, got)
		}
		if _, _, err := DecodeSID(raw[:len(raw)-1]); err != ntstatus.InvalidSID {
			t.Error(text, "cut:", err)
		}
	}
}

func TestPrincipals(t *testing.T) {
	for _, id := range []uint32{0, 1000, 1 << 31, causeway.NoID} {
		if PrincipalOf(UserSID(id)) != (Principal{User, id}) || PrincipalOf(GroupSID(id)) != (Principal{Group, id}) {
			t.Error(id)
		}
	}
	if foreign := NewSID(5, 21, 1, 2, 3, 500); PrincipalOf(foreign).Kind != Unknown {
		t.Error(foreign)
	}
	for s, want := range map[SID]PrincipalKind{Everyone: World, Users: World, Administrators: Powers, System: Powers, OwnerRights: Owner, CreatorOwner: Creator} {
		if got := PrincipalOf(s).Kind; got != want {
			t.Error(s, got)
		}
	}
}

// A Windows server's bytes for O:BA G:SY D:P(A;;FA;;;BA)(D;OI;FW;;;WD), and another library's opinion of them.
func TestDescriptorBytes(t *testing.T) {
	d := &Descriptor{Control: ControlSelfRelative | ControlDACLPresent | ControlDACLProtected, Owner: Administrators, Group: System,
		DACL: &ACL{Entries: []ACE{{Allow, 0, FileAll, Administrators}, {Deny, ObjectInherit, FileGenericWrite, Everyone}}}}
	b := d.AppendBinary([]byte("x"))[1:]
	want := "0100" + "0490" + "14000000" + "24000000" + "00000000" + "30000000" +
		"01020000000000052000000020020000" + "010100000000000512000000" +
		"0200" + "3400" + "0200" + "0000" + "0000" + "1800" + "ff011f00" + "01020000000000052000000020020000" + "0101" + "1400" + "16011200" + "010100000000000100000000"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	theirs, err := sddl.FromBinary(b)
	if err != nil || theirs.String() != "O:BAG:SYD:P(A;;FA;;;BA)(D;OI;FW;;;WD)" {
		t.Error(theirs, err)
	}
	back, err := DecodeDescriptor(b)
	if err != nil || !reflect.DeepEqual(back, d) {
		t.Error(back, err)
	}
	if got := d.String(); got != "O:S-1-5-32-544G:S-1-5-18D:P(A;;0x1f01ff;;;S-1-5-32-544)(D;OI;0x120116;;;S-1-1-0)" {
		t.Error(got)
	}
	if only := d.Only(PartGroup); !only.Owner.IsZero() || only.Group != System || only.DACL != nil || only.Control != ControlSelfRelative {
		t.Error(only)
	}
	theirs, err = sddl.FromString("O:S-1-22-1-7G:S-1-22-2-8D:(A;OICI;GA;;;S-1-3-0)")
	if err != nil {
		t.Fatal(err)
	}
	if back, err = DecodeDescriptor(theirs.Binary()); err != nil || back.Owner != UserSID(7) || back.Group != GroupSID(8) || back.DACL.Entries[0].SID != CreatorOwner {
		t.Error(back, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := (&Descriptor{Control: ControlDACLPresent, DACL: &ACL{Entries: []ACE{{Allow, 0, FileAll, Everyone}}}}).AppendBinary(nil)
	for name, c := range map[string]struct {
		at   int
		to   byte
		want error
	}{
		"revision": {0, 2, ntstatus.UnknownRevision}, "absolute": {3, 0, ntstatus.InvalidSecurityDescr}, "owner in the header": {4, 8, ntstatus.InvalidSecurityDescr},
		"owner outside": {5, 1, ntstatus.InvalidSecurityDescr}, "list's revision": {20, 1, ntstatus.InvalidACL}, "list too long": {22, 29, ntstatus.InvalidACL},
		"two entries": {24, 2, ntstatus.InvalidACL}, "object entry": {28, 5, ntstatus.InvalidACL}, "condition": {28, 9, ntstatus.InvalidACL},
		"entry too long": {30, 24, ntstatus.InvalidACL}, "entry too short": {30, 12, ntstatus.InvalidACL}, "SID too long": {37, 2, ntstatus.InvalidSID},
	} {
		b := slices.Clone(good)
		b[c.at] = c.to
		if _, err := DecodeDescriptor(b); err != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeDescriptor(good); err != nil {
		t.Error(err)
	}
}

func randomAttr(r *rand.Rand) *causeway.Attr {
	a := &causeway.Attr{Type: causeway.TypeRegular, Mode: r.Uint32() & causeway.ModePerm, UID: 1 + r.Uint32N(4), GID: 11 + r.Uint32N(4)}
	if r.IntN(2) == 0 {
		a.Type = causeway.TypeDirectory
	}
	if r.IntN(3) == 0 {
		return a
	}
	a.ACL = randomACL(r, a)
	return a
}

func randomACL(r *rand.Rand, a *causeway.Attr) *causeway.ACL {
	perm := func() causeway.Rights { return causeway.Rights(r.IntN(8)) }
	l := list{owner: causeway.Rights(a.Mode >> 6 & 7), group: perm(), other: causeway.Rights(a.Mode & 7)}
	for id := uint32(1); id < 5; id++ {
		if r.IntN(2) == 0 {
			l.users = append(l.users, causeway.ACLEntry{Tag: causeway.ACLUser, ID: id, Perm: perm()})
		}
		if r.IntN(2) == 0 {
			l.groups = append(l.groups, causeway.ACLEntry{Tag: causeway.ACLGroup, ID: 10 + id, Perm: perm()})
		}
	}
	l.users = append(l.users, causeway.ACLEntry{Tag: causeway.ACLUser, ID: 9, Perm: perm()})
	acl := l.acl()
	acl.Entries[len(acl.Entries)-2].Perm = perm() // the mask
	return acl
}

func randomCred(r *rand.Rand) *causeway.Cred {
	c := &causeway.Cred{UID: 1 + r.Uint32N(6), GID: 11 + r.Uint32N(6)}
	for range r.IntN(3) {
		c.Groups = append(c.Groups, 11+r.Uint32N(6))
	}
	return c
}

// windowsCheck is the access check of a token of user, groups and Everyone.
func windowsCheck(l *ACL, c *causeway.Cred) causeway.Rights {
	who := []Principal{{User, c.UID}, {Group, c.GID}}
	for _, g := range c.Groups {
		who = append(who, Principal{Group, g})
	}
	return rightsIn(l.Entries, who...)
}

// The DACL says what Permit says, for every caller but the superuser.
func TestDescriptorAgreesWithPermit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		a, c := randomAttr(r), randomCred(r)
		d := DescriptorOf(a, nil)
		if got, want := windowsCheck(d.DACL, c), causeway.Permit(c, a, 7); got != want {
			t.Fatalf("%+v %+v\n%v\n%s: %o, want %o", a, a.ACL, c, d, got, want)
		}
	}
}

// Setting the descriptor that was read changes nobody's rights, and nothing at all of plain modes.
func TestDescriptorAndBack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		a := randomAttr(r)
		a.Mode |= r.Uint32() & causeway.ModeAll &^ causeway.ModePerm
		def := (*causeway.ACL)(nil)
		if a.Type == causeway.TypeDirectory && r.IntN(2) == 0 {
			def = randomACL(r, a)
		}
		d, err := DecodeDescriptor(DescriptorOf(a, def).AppendBinary(nil))
		if err != nil {
			t.Fatal(err)
		}
		set, err := Change(d, PartOwner|PartGroup|PartDACL, a)
		if err != nil || set.Has(causeway.SetUID|causeway.SetGID) {
			t.Fatal(set, err)
		}
		b := *a
		b.Mode, b.ACL = set.Mode, set.ACL
		if a.ACL == nil && (b.Mode != a.Mode || b.ACL != nil) || b.Mode&^0o777 != a.Mode&^0o777 {
			t.Fatalf("%o became %o, %v\n%s", a.Mode, b.Mode, b.ACL, d)
		}
		for range 5 {
			c := randomCred(r)
			if got, want := causeway.Permit(c, &b, 7), causeway.Permit(c, a, 7); got != want {
				t.Fatalf("%+v %+v\n%+v %+v\n%v: %o, want %o", a, a.ACL, b, b.ACL, c, got, want)
			}
		}
		if (set.DefaultACL != nil) != (def != nil) {
			t.Fatal(def, set.DefaultACL)
		}
		if def != nil {
			before, after := listOf(def), listOf(set.DefaultACL)
			if before.owner != after.owner || before.group != after.group || before.other != after.other || len(before.users) != len(after.users) {
				t.Fatalf("%+v\n%+v", before, after)
			}
		}
	}
}

func TestPlainModesAreCanonical(t *testing.T) {
	for _, mode := range []uint32{0o777, 0o755, 0o750, 0o700, 0o644, 0o640, 0o600, 0o664, 0o444, 0} {
		d := DescriptorOf(&causeway.Attr{Type: causeway.TypeRegular, Mode: mode, UID: 1, GID: 2}, nil)
		if len(d.DACL.Entries) != 3 {
			t.Errorf("%o: %s", mode, d)
		}
	}
}

func TestChange(t *testing.T) {
	a := &causeway.Attr{Type: causeway.TypeRegular, Mode: 0o4640, UID: 1, GID: 2}
	dacl := func(e ...ACE) *Descriptor {
		return &Descriptor{Owner: UserSID(5), Group: GroupSID(6), Control: ControlDACLPresent, DACL: &ACL{Entries: e}}
	}
	for name, c := range map[string]struct {
		d    *Descriptor
		want uint32
	}{
		"null":            {&Descriptor{Control: ControlDACLPresent}, 0o4777},
		"empty":           {dacl(), 0o4000},
		"everyone all":    {dacl(ACE{Allow, 0, GenericAll, Everyone}), 0o4777},
		"owner rights":    {dacl(ACE{Allow, 0, GenericRead, OwnerRights}), 0o4400},
		"inherit only":    {dacl(ACE{Allow, InheritOnly | ObjectInherit, FileAll, Everyone}), 0o4000},
		"administrators":  {dacl(ACE{Allow, 0, FileAll, Administrators}, ACE{Allow, 0, FileGenericRead, UserSID(1)}), 0o4400},
		"deny first":      {dacl(ACE{Deny, 0, WriteData, UserSID(1)}, ACE{Allow, 0, FileAll, Everyone}), 0o4577},
		"append only":     {dacl(ACE{Allow, 0, AppendData, Everyone}), 0o4000},
		"modefromsid":     {dacl(ACE{Deny, 0, 0, nfsMode.Append(0o2751)}, ACE{Allow, 0, FileAll, Everyone}), 0o2751},
		"unix ids of NFS": {dacl(ACE{Allow, 0, FileGenericRead, nfsUsers.Append(1)}, ACE{Allow, 0, FileGenericExecute, nfsGroups.Append(2)}), 0o4410},
	} {
		set, err := Change(c.d, PartDACL, a)
		if err != nil || set.Mode != c.want || set.ACL != nil || set.Mask != causeway.SetMode|causeway.SetACL {
			t.Errorf("%s: %o %+v, %v", name, set.Mode, set, err)
		}
	}
	set, err := Change(dacl(ACE{Allow, 0, FileAll, UserSID(5)}, ACE{Allow, 0, FileGenericRead, UserSID(1)}), PartOwner|PartGroup|PartDACL, a)
	if err != nil || set.UID != 5 || set.GID != 6 || set.ACL == nil || set.Mode != 0o4740 {
		t.Errorf("%+v, %v", set, err)
	}
	foreign := NewSID(5, 21, 1, 2, 3, 500)
	for name, c := range map[string]struct {
		d     *Descriptor
		parts uint32
		want  error
	}{
		"owner": {&Descriptor{Owner: foreign}, PartOwner, ntstatus.InvalidOwner}, "group is a user": {&Descriptor{Group: UserSID(1)}, PartGroup, ntstatus.InvalidOwner},
		"entry": {dacl(ACE{Allow, 0, FileAll, foreign}), PartDACL, ntstatus.NoneMapped},
		"audit": {&Descriptor{SACL: &ACL{Entries: make([]ACE, 1)}}, PartSACL, ntstatus.PrivilegeNotHeld},
	} {
		if _, err := Change(c.d, c.parts, a); err != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := dacl()
	for i := range uint32(MaxNamed + 1) {
		many.DACL.Entries = append(many.DACL.Entries, ACE{Allow, 0, FileAll, UserSID(100 + i)})
	}
	if _, err := Change(many, PartDACL, a); err != ntstatus.InvalidACL {
		t.Error(err)
	}
}

// What Maximal says of reading and writing is what Permit says, for every caller.
func TestMaximal(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		a, c := randomAttr(r), randomCred(r)
		if r.IntN(10) == 0 {
			c.UID = 0
		}
		m := Maximal(c, a, nil)
		got := causeway.Permit(c, a, 7)
		if (m&ReadData != 0) != (got&causeway.MayRead != 0) || (m&WriteData != 0) != (got&causeway.MayWrite != 0) ||
			a.Type == causeway.TypeDirectory && (m&Execute != 0) != (got&causeway.MayExec != 0) || m&Delete != 0 || m&maskStat != maskStat {
			t.Fatalf("%+v %v: %x, %o", a, c, m, got)
		}
		if g, err := Check(MaximumAllowed, m); g != m || err != nil {
			t.Fatal(g, err)
		}
	}
	file := &causeway.Attr{Type: causeway.TypeRegular, Mode: 0o600, UID: 1, GID: 2}
	parent := &causeway.Attr{Type: causeway.TypeDirectory, Mode: 0o1777, UID: 3, GID: 3}
	if m := Maximal(&causeway.Cred{UID: 1}, file, parent); m != FileAll {
		t.Errorf("an owner of 0600 who may delete has everything: %x", m)
	}
	if m := Maximal(&causeway.Cred{UID: 0}, file, parent); m != FileAll {
		t.Errorf("the superuser has everything: %x", m)
	}
	if m := Maximal(&causeway.Cred{UID: 9}, file, parent); m != maskStat {
		t.Errorf("the sticky bit keeps others from deleting: %x", m)
	}
	parent.Mode = 0o777
	if m := Maximal(&causeway.Cred{UID: 9}, file, parent); m != maskStat|Delete {
		t.Errorf("deleting is the directory's right: %x", m)
	}
	for _, c := range []struct {
		desired, maximal, want Mask
		err                    error
	}{
		{GenericRead, FileGenericRead, FileGenericRead, nil}, {GenericWrite, FileGenericRead, 0, ntstatus.AccessDenied},
		{GenericAll, FileAll, FileAll, nil}, {SystemSecurity, FileAll, 0, ntstatus.PrivilegeNotHeld}, {1 << 26, FileAll, 0, ntstatus.AccessDenied},
		{MaximumAllowed | Delete, FileGenericRead, 0, ntstatus.AccessDenied},
	} {
		if got, err := Check(c.desired, c.maximal); got != c.want || err != c.err {
			t.Errorf("%x of %x: %x, %v", c.desired, c.maximal, got, err)
		}
	}
	if GenericRead.Rights() != causeway.MayRead || FileAll.Rights() != 7 || maskStat.Rights() != 0 {
		t.Error("rights of a mask")
	}
}

func FuzzDescriptor(f *testing.F) {
	f.Add(DescriptorOf(&causeway.Attr{Type: causeway.TypeDirectory, Mode: 0o750, UID: 1, GID: 2}, nil).AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDescriptor(b)
		if err != nil {
			return
		}
		if len(d.String()) == 0 && d.Control&ControlDACLPresent != 0 {
			t.Fatal("no text")
		}
		back, err := DecodeDescriptor(d.AppendBinary(nil))
		if err != nil || back.String() != d.String() {
			t.Fatalf("%s\n%s\n%v", d, back, err)
		}
		for _, kind := range []causeway.FileType{causeway.TypeRegular, causeway.TypeDirectory} {
			set, err := Change(d, PartDACL, &causeway.Attr{Type: kind, UID: 1, GID: 2})
			if err == nil && set.Mode&^causeway.ModeAll != 0 {
				t.Fatalf("%o", set.Mode)
			}
		}
	})
}
