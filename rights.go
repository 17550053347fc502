package causeway

// Rights is a set of things that a caller may do with an object.
type Rights uint8

// The rights that mode bits and ACLs speak of.
const (
	MayExec  Rights = 1 << iota // execute a file, search a directory
	MayWrite                    // change data, change a directory's entries
	MayRead                     // read data, list a directory
)

// ACLTag says whom an ACL entry is about (POSIX 1003.1e draft 17).
type ACLTag uint8

// The tags, in the order in which entries are evaluated.
const (
	ACLUserObj ACLTag = iota + 1
	ACLUser
	ACLGroupObj
	ACLGroup
	ACLMask
	ACLOther
)

// ACLEntry grants Perm to whom Tag and ID name; ID is meant for ACLUser and ACLGroup only.
type ACLEntry struct {
	Tag  ACLTag
	Perm Rights
	ID   uint32
}

// ACL is a POSIX access control list, entries sorted by tag and id.
type ACL struct {
	Entries []ACLEntry
}

// NeedsACL reports whether rights of cred on an object with these attributes depend on an ACL that was not read. Most calls
// come from an object's owner, and for him reading it would be wasted.
func NeedsACL(cred *Cred, a *Attr) bool { return a.Extended && cred.UID != 0 && cred.UID != a.UID }

// Permit returns those of the wanted rights that cred has on an object with these attributes. It is the only place where
// rights are decided, for every protocol, and depends on nothing else: mode bits and ACL, the superuser's bypass (all but
// executing a file that nobody may execute), no owner override (see PermitOwner).
func Permit(cred *Cred, a *Attr, want Rights) Rights {
	if cred.UID == 0 {
		if a.Type != TypeDirectory && a.Mode&0o111 == 0 {
			want &^= MayExec
		}
		return want
	}
	if cred.UID == a.UID {
		return want & Rights(a.Mode>>6&7)
	}
	if a.Extended {
		return 0 // the caller's mistake: who was given a right by a list that nobody read is not known
	}
	if a.ACL != nil {
		return want & a.ACL.permit(cred, a)
	}
	if cred.InGroup(a.GID) {
		return want & Rights(a.Mode>>3&7)
	}
	return want & Rights(a.Mode&7)
}

// PermitOwner is Permit for the data of an open file: the owner may always read and write, since he was checked when he
// opened it and may have taken the right from himself since (RFC 1813 §4.4), and who may execute may read.
func PermitOwner(cred *Cred, a *Attr, want Rights) Rights {
	if cred.UID == a.UID {
		return want
	}
	got := Permit(cred, a, want|MayExec)
	if got&MayExec != 0 {
		got |= MayRead
	}
	return got & want
}

// permit evaluates the entries for a caller who is not the owner (POSIX 1003.1e draft 17, §23.1.5): a named user's entry
// decides alone; else the caller has what any one of his groups' entries gives in full, masked; else others' rights.
func (l *ACL) permit(cred *Cred, a *Attr) Rights {
	mask, other := Rights(7), Rights(a.Mode&7)
	for _, e := range l.Entries {
		if e.Tag == ACLMask {
			mask = e.Perm
		}
	}
	var group Rights
	member := false
	for _, e := range l.Entries {
		switch e.Tag {
		case ACLUser:
			if e.ID == cred.UID {
				return e.Perm & mask
			}
		case ACLGroupObj:
			if cred.InGroup(a.GID) {
				member, group = true, group|e.Perm
			}
		case ACLGroup:
			if cred.InGroup(e.ID) {
				member, group = true, group|e.Perm
			}
		}
	}
	if member {
		return group & mask
	}
	return other
}
