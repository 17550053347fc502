package security

import "causeway"

// DescriptorOf returns the descriptor of an object: owner, group, and a DACL by which a Windows access check of a user and his
// groups comes to the rights that causeway.Permit gives him. def is the default ACL of a directory, nil if it has none.
//
// The entries stand in POSIX's order of evaluation. Where a user or group has less than those who come after it, an entry that
// denies the difference stands before its own; ordinary modes need none, and their DACL is canonical.
func DescriptorOf(a *causeway.Attr, def *causeway.ACL) *Descriptor {
	dir := a.Type == causeway.TypeDirectory
	l := &ACL{Entries: entries(accessOf(a), UserSID(a.UID), GroupSID(a.GID), dir, 0)}
	if def != nil && dir {
		l.Entries = append(l.Entries, entries(listOf(def), CreatorOwner, CreatorGroup, dir, ObjectInherit|ContainerInherit|InheritOnly)...)
	}
	return &Descriptor{
		Control: ControlSelfRelative | ControlDACLPresent | ControlDACLProtected,
		Owner:   UserSID(a.UID), Group: GroupSID(a.GID), DACL: l,
	}
}

// list is an ACL in effect: masked, and with the rights of owner, group and others apart.
type list struct {
	owner, group, other causeway.Rights
	users, groups       []causeway.ACLEntry
}

func accessOf(a *causeway.Attr) list {
	if a.ACL == nil {
		return list{owner: causeway.Rights(a.Mode >> 6 & 7), group: causeway.Rights(a.Mode >> 3 & 7), other: causeway.Rights(a.Mode & 7)}
	}
	l := listOf(a.ACL)
	l.owner, l.other = causeway.Rights(a.Mode>>6&7), causeway.Rights(a.Mode&7)
	return l
}

func listOf(acl *causeway.ACL) (l list) {
	mask := causeway.Rights(7)
	for _, e := range acl.Entries {
		if e.Tag == causeway.ACLMask {
			mask = e.Perm
		}
	}
	for _, e := range acl.Entries {
		masked := e
		masked.Perm &= mask
		switch e.Tag {
		case causeway.ACLUserObj:
			l.owner = e.Perm
		case causeway.ACLUser:
			l.users = append(l.users, masked)
		case causeway.ACLGroupObj:
			l.group = masked.Perm
		case causeway.ACLGroup:
			l.groups = append(l.groups, masked)
		case causeway.ACLOther:
			l.other = e.Perm
		}
	}
	return l
}

// entries returns the ACEs of a list. A user's rights are his entry's alone; of groups each adds, and only who is in none has others'.
func entries(l list, owner, group SID, dir bool, flags uint8) (out []ACE) {
	add := func(t ACEType, s SID, m Mask) { out = append(out, ACE{t, flags, m, s}) }
	later := l.other | l.group
	for _, e := range l.groups {
		later |= e.Perm
	}
	alone := func(s SID, r, later causeway.Rights, more Mask) {
		if missing := later &^ r; missing != 0 {
			// What belongs to ownership is never denied with a right to write.
			add(Deny, s, maskOf(missing, dir)&^more)
		}
		add(Allow, s, maskOf(r, dir)|maskStat|more)
	}
	afterOwner := later
	for _, e := range l.users {
		afterOwner |= e.Perm
	}
	more := maskOwn
	if l.owner == 7 {
		more |= FileAll
	}
	alone(owner, l.owner, afterOwner, more)
	for _, e := range l.users {
		alone(UserSID(e.ID), e.Perm, later, 0)
	}
	add(Allow, group, maskOf(l.group, dir)|maskStat)
	for _, e := range l.groups {
		add(Allow, GroupSID(e.ID), maskOf(e.Perm, dir)|maskStat)
	}
	for _, e := range append([]causeway.ACLEntry{{Perm: l.group, ID: causeway.NoID}}, l.groups...) {
		s := GroupSID(e.ID)
		if e.ID == causeway.NoID {
			s = group
		}
		if missing := l.other &^ e.Perm; missing != 0 {
			add(Deny, s, maskOf(missing, dir))
		}
	}
	add(Allow, Everyone, maskOf(l.other, dir)|maskStat)
	return out
}
