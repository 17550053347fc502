package rpcpipe

import (
	"unicode/utf16"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/security"
)

// lsarpc is 12345778-1234-abcd-ef00-0123456789ab version 0.0 ([MS-LSAT] 1.9): names of the SIDs that security descriptors have, for the
// dialogs of clients.
var lsarpc = &iface{
	name:   "lsarpc",
	syntax: syntax{[16]byte{0x78, 0x57, 0x34, 0x12, 0x34, 0x12, 0xcd, 0xab, 0xef, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab}, 0},
	ops: map[uint16]func(*Server, *reader, *writer){
		0: lsaClose, 6: lsaOpen, 44: lsaOpen,
		15: func(s *Server, in *reader, out *writer) { lookupSIDs(s, in, out, false) },
		57: func(s *Server, in *reader, out *writer) { lookupSIDs(s, in, out, true) },
	},
}

const (
	maxLookup        = 1000 // SIDs in one call
	someNotMapped    = 0x107
	sidUser          = 1 // of LSA's SID_NAME_USE
	sidGroup         = 2
	sidWellKnown     = 5
	sidUnknown       = 8
	noDomain         = 0xFFFFFFFF
	policyHandleSize = 20
)

// policyHandle is the handle of every policy: opening one gives no rights, so that there is nothing to tell apart.
var policyHandle = [policyHandleSize]byte{4: 'c', 'a', 'u', 's', 'e', 'w', 'a', 'y'}

// lsaOpen is LsarOpenPolicy and LsarOpenPolicy2 ([MS-LSAT] 3.1.4.2); what it is asked with does not matter.
func lsaOpen(_ *Server, _ *reader, out *writer) {
	out.b = append(out.b, policyHandle[:]...)
	out.u32(0)
}

// lsaClose is LsarClose ([MS-LSAT] 3.1.4.3).
func lsaClose(_ *Server, in *reader, out *writer) {
	in.bytes(policyHandleSize)
	out.b = append(out.b, make([]byte, policyHandleSize)...)
	out.u32(0)
}

// readSIDs reads an LSAPR_SID_ENUM_BUFFER ([MS-LSAT] 2.2.18).
func readSIDs(in *reader) []security.SID {
	count := in.u32()
	if in.u32() == 0 {
		return nil
	}
	if size := in.u32(); size != count || count > maxLookup {
		in.bad = true
		return nil
	}
	in.bytes(4 * int(count)) // the pointers; null ones fail as SIDs
	list := make([]security.SID, count)
	for i := range list {
		subs := in.u32()
		if in.bad || subs > security.MaxSub {
			in.bad = true
			return nil
		}
		sid, _, err := security.DecodeSID(in.bytes(8 + 4*int(subs)))
		if err != nil {
			in.bad = true
			return nil
		}
		list[i] = sid
	}
	return list
}

// translated is a SID with its name.
type translated struct {
	kind   uint16
	name   string
	domain uint32
}

// The domains that names are in, by index.
var domains = []struct {
	name string
	sid  security.SID
}{
	{"Unix User", security.NewSID(22, 1)}, {"Unix Group", security.NewSID(22, 2)}, {"", security.NewSID(1)}, {"NT AUTHORITY", security.NewSID(5)},
	{"BUILTIN", security.NewSID(5, 32)}, {"", security.NewSID(3)},
}

var wellKnown = map[security.SID]translated{
	security.Everyone: {sidWellKnown, "Everyone", 2}, security.AuthenticatedUsers: {sidWellKnown, "Authenticated Users", 3},
	security.System: {sidWellKnown, "SYSTEM", 3}, security.Administrators: {4, "Administrators", 4}, security.Users: {4, "Users", 4},
	security.CreatorOwner: {sidWellKnown, "CREATOR OWNER", 5}, security.CreatorGroup: {sidWellKnown, "CREATOR GROUP", 5},
	security.OwnerRights: {sidWellKnown, "OWNER RIGHTS", 5},
}

// translate names a SID. A user or group that has no name here goes without one: the client shows the SID.
func translate(s *Server, sid security.SID) translated {
	if known, ok := wellKnown[sid]; ok {
		return known
	}
	p := security.PrincipalOf(sid)
	if s.NameOf != nil && (p.Kind == security.User && sid == security.UserSID(p.ID) || p.Kind == security.Group && sid == security.GroupSID(p.ID)) {
		if name, ok := s.NameOf(p); ok && p.Kind == security.User {
			return translated{sidUser, name, 0}
		} else if ok {
			return translated{sidGroup, name, 1}
		}
	}
	return translated{sidUnknown, sid.String(), noDomain}
}

// lookupSIDs is LsarLookupSids and LsarLookupSids2 ([MS-LSAT] 3.1.4.11, 3.1.4.10).
func lookupSIDs(s *Server, in *reader, out *writer, two bool) {
	in.bytes(policyHandleSize)
	sids := readSIDs(in)
	if in.bad {
		return
	}
	mapped := uint32(0)
	list := make([]translated, len(sids))
	for i, sid := range sids {
		if list[i] = translate(s, sid); list[i].kind != sidUnknown {
			mapped++
		}
	}
	out.pointer(func() { writeDomains(out) })
	out.flush()
	out.u32(uint32(len(list)))
	out.pointer(func() {
		out.u32(uint32(len(list)))
		for _, t := range list {
			out.u32(uint32(t.kind)) // 16 bits, and as many of alignment
			out.counted(t.name, 0)
			out.u32(t.domain)
			if two {
				out.u32(0)
			}
		}
	})
	out.flush()
	out.u32(mapped)
	switch {
	case mapped == uint32(len(list)):
		out.u32(0)
	case mapped == 0:
		out.u32(uint32(ntstatus.NoneMapped))
	default:
		out.u32(someNotMapped)
	}
}

// writeDomains writes an LSAPR_REFERENCED_DOMAIN_LIST ([MS-LSAT] 2.2.12): always all, so that indices are fixed.
func writeDomains(out *writer) {
	out.u32(uint32(len(domains)))
	out.pointer(func() {
		out.u32(uint32(len(domains)))
		for _, d := range domains {
			out.counted(d.name, 1)
			out.pointer(func() {
				out.u32(uint32(d.sid.Count))
				out.b = d.sid.AppendBinary(out.b)
			})
		}
	})
	out.u32(32)
}

// counted writes an RPC_UNICODE_STRING, with room for more units than it has.
func (w *writer) counted(s string, room int) {
	units := utf16.Encode([]rune(s))
	w.u32(uint32(2*len(units)) | uint32(2*(len(units)+room))<<16)
	w.pointer(func() {
		w.u32(uint32(len(units)+room), 0, uint32(len(units)))
		for _, u := range units {
			w.b = le.AppendUint16(w.b, u)
		}
	})
}
