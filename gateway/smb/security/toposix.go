package security

import (
	"slices"

	"causeway"
	"causeway/gateway/smb/ntstatus"
)

// MaxNamed is the largest number of users and groups that a DACL may name: more do not fit into the ACLs of common storage.
const MaxNamed = 500

// Change returns the change of attributes that makes an object have the parts of a descriptor that are meant. It is the inverse of
// [DescriptorOf]; of DACLs that POSIX cannot express it keeps the following.
//
// Each user and group that is named gets what an access check would give to it together with Everyone. So a list that denies
// something to a group does not reach members that are named themselves, or own the object: memberships are not known
// here. Reading is ReadData, writing WriteData, executing Execute; a right to append only, to delete or to change owner and list
// apart from these is not kept. What is inherited becomes the default ACL of a directory, for files and directories alike.
// Administrators and SYSTEM need no entries, theirs are ignored.
//
// InvalidOwner: an owner or group that is none of ours. NoneMapped: an entry for such. InvalidACL: more than MaxNamed entries'
// worth. PrivilegeNotHeld: the SACL.
func Change(d *Descriptor, parts uint32, a *causeway.Attr) (causeway.SetAttr, error) {
	var set causeway.SetAttr
	if parts&(PartSACL|PartLabel) != 0 && d.SACL != nil && len(d.SACL.Entries) > 0 {
		return set, ntstatus.PrivilegeNotHeld
	}
	uid, gid := a.UID, a.GID
	if parts&PartOwner != 0 {
		p := PrincipalOf(d.Owner)
		if p.Kind != User {
			return set, ntstatus.InvalidOwner
		}
		if uid = p.ID; uid != a.UID {
			set.Mask, set.UID = set.Mask|causeway.SetUID, uid
		}
	}
	if parts&PartGroup != 0 {
		p := PrincipalOf(d.Group)
		if p.Kind != Group {
			return set, ntstatus.InvalidOwner
		}
		if gid = p.ID; gid != a.GID {
			set.Mask, set.GID = set.Mask|causeway.SetGID, gid
		}
	}
	if parts&PartDACL == 0 {
		return set, nil
	}
	return set, changeList(&set, d.DACL, uid, gid, a)
}

func changeList(set *causeway.SetAttr, dacl *ACL, uid, gid uint32, a *causeway.Attr) error {
	keep := a.Mode &^ causeway.ModePerm
	set.Mask |= causeway.SetMode | causeway.SetACL
	if dacl == nil {
		set.Mode = keep | 0o777
		return nil
	}
	for _, e := range dacl.Entries {
		if p := PrincipalOf(e.SID); p.Kind == Mode {
			set.Mode = p.ID & causeway.ModeAll
			return nil
		}
	}
	access, _, err := evaluate(dacl, uid, gid, false)
	if err != nil {
		return err
	}
	set.Mode, set.ACL = keep|access.mode(), access.acl()
	if a.Type != causeway.TypeDirectory {
		return nil
	}
	set.Mask |= causeway.SetDefaultACL
	inherited, some, err := evaluate(dacl, uid, gid, true)
	if err != nil || !some {
		return err
	}
	if set.DefaultACL = inherited.acl(); set.DefaultACL == nil {
		set.DefaultACL = &causeway.ACL{Entries: []causeway.ACLEntry{
			{Tag: causeway.ACLUserObj, Perm: inherited.owner}, {Tag: causeway.ACLGroupObj, Perm: inherited.group}, {Tag: causeway.ACLOther, Perm: inherited.other},
		}}
	}
	return nil
}

// evaluate computes what each of those named in a list gets: of the entries that count for the object itself, or of those that are
// inherited. some: there was one.
func evaluate(dacl *ACL, uid, gid uint32, inherit bool) (l list, some bool, err error) {
	var users, groups []uint32
	var counting []ACE
	for _, e := range dacl.Entries {
		if inherit && e.Flags&(ObjectInherit|ContainerInherit) == 0 || !inherit && e.Flags&InheritOnly != 0 || e.Type > Deny {
			continue
		}
		switch p := PrincipalOf(e.SID); p.Kind {
		case Unknown:
			return l, false, ntstatus.NoneMapped
		case User:
			if (p.ID != uid || inherit) && !slices.Contains(users, p.ID) {
				users = append(users, p.ID)
			}
		case Group:
			if (p.ID != gid || inherit) && !slices.Contains(groups, p.ID) {
				groups = append(groups, p.ID)
			}
		}
		if len(users)+len(groups) > MaxNamed {
			return l, false, ntstatus.InvalidACL
		}
		counting = append(counting, e)
	}
	self, group := []Principal{{User, uid}, {Owner, 0}}, []Principal{{Group, gid}}
	if inherit {
		self, group = []Principal{{Creator, 0}, {Owner, 0}}, []Principal{{CreatorGr, 0}}
	}
	l.owner, l.group, l.other = rightsIn(counting, self...), rightsIn(counting, group...), rightsIn(counting)
	slices.Sort(users)
	slices.Sort(groups)
	for _, id := range users {
		l.users = append(l.users, causeway.ACLEntry{Tag: causeway.ACLUser, ID: id, Perm: rightsIn(counting, Principal{User, id})})
	}
	for _, id := range groups {
		l.groups = append(l.groups, causeway.ACLEntry{Tag: causeway.ACLGroup, ID: id, Perm: rightsIn(counting, Principal{Group, id})})
	}
	return l, len(counting) > 0, nil
}

// rightsIn is the access check for someone who is these principals, and everyone: the first entry about a bit decides it.
func rightsIn(list []ACE, who ...Principal) (r causeway.Rights) {
	var decided, got Mask
	for _, e := range list {
		p := PrincipalOf(e.SID)
		if p.Kind != World && !slices.Contains(who, p) {
			continue
		}
		m := e.Mask.Specific()
		if e.Type == Allow {
			got |= m &^ decided
		}
		decided |= m
	}
	if got&ReadData != 0 {
		r |= causeway.MayRead
	}
	if got&WriteData != 0 {
		r |= causeway.MayWrite
	}
	if got&Execute != 0 {
		r |= causeway.MayExec
	}
	return r
}

// mode returns the permission bits: those of the group are the mask, where there is one.
func (l *list) mode() uint32 {
	return uint32(l.owner)<<6 | uint32(l.mask())<<3 | uint32(l.other)
}

func (l *list) mask() causeway.Rights {
	mask := l.group
	for _, e := range append(slices.Clone(l.users), l.groups...) {
		mask |= e.Perm
	}
	return mask
}

// acl returns the list in POSIX's form and order, nil if the mode says it all.
func (l *list) acl() *causeway.ACL {
	if len(l.users)+len(l.groups) == 0 {
		return nil
	}
	out := []causeway.ACLEntry{{Tag: causeway.ACLUserObj, Perm: l.owner}}
	out = append(out, l.users...)
	out = append(out, causeway.ACLEntry{Tag: causeway.ACLGroupObj, Perm: l.group})
	out = append(out, l.groups...)
	out = append(out, causeway.ACLEntry{Tag: causeway.ACLMask, Perm: l.mask()}, causeway.ACLEntry{Tag: causeway.ACLOther, Perm: l.other})
	return &causeway.ACL{Entries: out}
}
