package security

// The domains of SIDs that are made of numbers. Samba and cifs.ko know the first two by the same meaning; the others are what
// Windows' NFS server and cifs.ko (idsfromsid, modefromsid) write.
var (
	unixUsers  = NewSID(22, 1)
	unixGroups = NewSID(22, 2)
	nfsUsers   = NewSID(5, 88, 1)
	nfsGroups  = NewSID(5, 88, 2)
	nfsMode    = NewSID(5, 88, 3)
	builtin    = NewSID(5, 32)
)

// UserSID returns the SID of a user, S-1-22-1-uid: a function of nothing else, so that it is the same at all gateways, in all
// clusters, and after a volume has moved.
func UserSID(uid uint32) SID { return unixUsers.Append(uid) }

// GroupSID returns the SID of a group, S-1-22-2-gid.
func GroupSID(gid uint32) SID { return unixGroups.Append(gid) }

// PrincipalKind says what a SID stands for.
type PrincipalKind uint8

// The kinds.
const (
	Unknown   PrincipalKind = iota // a user or group of somewhere else
	User                           // ID is a uid
	Group                          // ID is a gid
	World                          // everyone who can be here: Everyone, Authenticated Users, Network
	Creator                        // in what is inherited: the owner of the new object
	CreatorGr                      // its group
	Owner                          // OWNER RIGHTS: whoever owns the object
	Mode                           // ID is a mode: what cifs.ko writes with the option modefromsid
	Powers                         // SYSTEM, Administrators and the like: they need no entry
)

// Principal is what a SID stands for.
type Principal struct {
	Kind PrincipalKind
	ID   uint32
}

// PrincipalOf is the inverse of UserSID and GroupSID, and knows the SIDs that mean the same everywhere.
func PrincipalOf(s SID) Principal {
	for _, d := range []struct {
		domain SID
		kind   PrincipalKind
	}{{unixUsers, User}, {unixGroups, Group}, {nfsUsers, User}, {nfsGroups, Group}, {nfsMode, Mode}, {builtin, Powers}} {
		if rid, ok := s.In(d.domain); ok {
			if s == Users {
				return Principal{Kind: World}
			}
			return Principal{d.kind, rid}
		}
	}
	switch s {
	case Everyone, AuthenticatedUsers, Network:
		return Principal{Kind: World}
	case CreatorOwner:
		return Principal{Kind: Creator}
	case CreatorGroup:
		return Principal{Kind: CreatorGr}
	case OwnerRights:
		return Principal{Kind: Owner}
	case System, Anonymous:
		return Principal{Kind: Powers}
	}
	return Principal{}
}
