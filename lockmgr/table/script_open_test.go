package table

import (
	"fmt"
	"strconv"
	"strings"

	"causeway"
)

// The verbs about opens. An open is written client/name; its client is an SMB client (in the verbs about locks too, if the client
// begins with "@"), or one of NFSv4 if its name begins with "v4".
//
//	open C/O OBJECT ACCESS SHARE [lease=KEY:RWH|oplock=RWH|deleg=RWH] [empties] [dir] [keep=N] [guid=G] [name=N] [doomed] [peek]
//	close|disconnect C/O OBJECT
//	reconnect C/O OBJECT [lease=KEY] [guid=G]
//	upgrade C/O OBJECT ACCESS SHARE
//	downgrade C/O OBJECT ACCESS SHARE
//	delete|spare C/O OBJECT
//	removed OBJECT
//	break C/O|C OBJECT read|write|lock|name|entries
//	ack C KEY|O OBJECT RWH [oplock|deleg]
//	io C/O|- OBJECT SPAN r|w [mandatory]
//	deny OBJECT r|w
//	opens
//	node-gone NAME TICKS; adopt CLIENT NODE; drop VOLUME
func (s *script) open(verb string, a []string) ([]string, bool) {
	switch verb {
	case "opens":
		return s.showOpens(), true
	case "drop":
		n, ok := numbers(a, 1)
		if ok {
			s.t.Drop(causeway.VolumeID(n[0]))
		}
		return nil, ok
	case "removed":
		if len(a) == 1 {
			s.t.Removed(object1(a[0]))
		}
		return nil, len(a) == 1
	case "adopt":
		if len(a) != 2 {
			return nil, false
		}
		s.t.Adopt(Client{causeway.OwnerNLM, a[0]}, a[1])
		return nil, true
	case "node-gone":
		if len(a) != 2 {
			return nil, false
		}
		n, err := strconv.Atoi(a[1])
		s.t.ReleaseGateway(1, a[0], n)
		return nil, err == nil
	case "deny":
		if len(a) != 2 {
			return nil, false
		}
		return []string{fmt.Sprint(s.t.Deny(object1(a[0]), a[1] == "w"))}, true
	case "io":
		return s.io(a)
	case "ack":
		return s.ack(a)
	}
	if len(a) < 2 {
		return nil, false
	}
	return s.onOpen(verb, a)
}

func (s *script) onOpen(verb string, a []string) ([]string, bool) {
	o, id, h := smbOwner(a[0])
	obj := object1(a[1])
	var code causeway.Code
	switch verb {
	case "open":
		return s.openFile(h, a)
	case "close":
		code = s.t.Close(obj, id)
	case "disconnect":
		kept, c := s.t.Disconnect(obj, id)
		return []string{fmt.Sprintf("%v kept=%v", c, kept)}, true
	case "reconnect":
		r := RenewRequest{h}
		r.Held.Handle = obj
		for _, f := range a[2:] {
			s.option(f, &r.Held, nil)
		}
		held, l, c := s.t.Renew(&r)
		return []string{c.Error() + " " + showCaching(l.Caching) + " " + name16(held.Open)}, true
	case "upgrade":
		if len(a) != 4 {
			return nil, false
		}
		h.Handle, h.Access, h.Share = obj, parseAccess(a[2]), parseShare(a[3])
		held, _, c := s.t.Upgrade(&OpenRequest{Held: h, Claim: 1})
		if c != causeway.ErrBlocked {
			s.t.Unclaim(obj, 1)
		}
		return []string{fmt.Sprintf("%v access=%d share=%d", c, held.Access, held.Share)}, true
	case "downgrade":
		if len(a) != 4 {
			return nil, false
		}
		code = s.t.Downgrade(obj, id, parseAccess(a[2]), parseShare(a[3]))
	case "delete", "spare":
		code = s.t.SetDelete(obj, id, verb == "delete")
	case "break":
		op, ok := map[string]Op{"read": OpRead, "write": OpWrite, "lock": OpLock, "name": OpName, "entries": OpEntries}[a[len(a)-1]]
		if !ok {
			return nil, false
		}
		breaks, waits := s.t.Conflicts(obj, By{o, id}, op)
		if waited := s.t.Break(obj, By{o, id}, op); waited != waits {
			return []string{"conflicts lies"}, true
		}
		return []string{fmt.Sprintf("breaks=%v waits=%v", breaks, waits)}, true
	default:
		return nil, false
	}
	return []string{code.Error()}, true
}

func (s *script) openFile(h causeway.Held, a []string) ([]string, bool) {
	if len(a) < 4 {
		return nil, false
	}
	r := &OpenRequest{Held: h, Claim: 1}
	r.Held.Handle, r.Held.Access, r.Held.Share = object1(a[1]), parseAccess(a[2]), parseShare(a[3])
	for _, f := range a[4:] {
		s.option(f, &r.Held, r)
	}
	held, l, code := s.t.Open(r)
	if code != causeway.ErrBlocked {
		s.t.Unclaim(r.Held.Handle, 1)
	}
	out := code.Error()
	if code == causeway.OK {
		out += fmt.Sprintf(" %s epoch=%d breaking=%v keep=%d", showCaching(l.Caching), l.Epoch, l.Breaking, held.KeepSeconds)
	}
	return []string{out}, true
}

func (s *script) option(f string, h *causeway.Held, r *OpenRequest) {
	key, value, _ := strings.Cut(f, "=")
	name, caching, _ := strings.Cut(value, ":")
	kinds := map[string]causeway.LeaseKind{"lease": causeway.Lease, "oplock": causeway.Oplock, "deleg": causeway.Delegation}
	switch key {
	case "lease", "oplock", "deleg":
		id := causeway.LeaseID{Kind: kinds[key], Client: h.Owner.Client}
		if key == "lease" {
			copy(id.Key[:], name)
		} else {
			caching = name
		}
		h.Lease = id
		if r != nil {
			r.Lease = LeaseRequest{ID: id, Caching: parseCaching(caching), V2: true, Parent: r.Lease.Parent}
		}
	case "parent":
		if r != nil {
			copy(r.Lease.Parent[:], value)
			copy(h.Parent[:], value)
		}
	case "keep":
		n, _ := strconv.Atoi(value)
		h.KeepSeconds = uint32(n)
	case "guid":
		copy(h.GUID[:], value)
	case "name":
		h.Name = value
	case "node":
		h.Gateway = value
	case "doomed":
		h.DeleteOnClose = true
	}
	if r != nil {
		r.Empties = r.Empties || key == "empties"
		r.Dir = r.Dir || key == "dir"
		r.Peek = r.Peek || key == "peek"
	}
}

func (s *script) io(a []string) ([]string, bool) {
	if len(a) < 4 {
		return nil, false
	}
	var o causeway.Owner
	if a[0] != "-" {
		o, _, _ = smbOwner(a[0])
	}
	span, ok := parseSpan(a[2])
	by, code := s.t.CheckIO(object1(a[1]), o, span, a[3] == "w", len(a) > 4)
	out := code.Error()
	if code != causeway.OK {
		out += " by " + show(by)
	}
	return []string{out}, ok
}

func (s *script) ack(a []string) ([]string, bool) {
	if len(a) < 4 {
		return nil, false
	}
	id := causeway.LeaseID{Kind: causeway.Lease, Client: a[0]}
	copy(id.Key[:], a[1])
	if len(a) > 4 {
		if id.Kind = causeway.Oplock; a[4] == "deleg" {
			id.Kind = causeway.Delegation
		}
	}
	l, code := s.t.Acknowledge(object1(a[2]), id, parseCaching(a[3]))
	return []string{code.Error() + " " + showCaching(l.Caching)}, true
}

func (s *script) showOpens() []string {
	var out []string
	for _, h := range s.t.HeldIn(1, "") {
		switch h.Kind {
		case causeway.HeldOpen:
			out = append(out, fmt.Sprintf("open %s/%s %s %s disconnected=%v doomed=%v", h.Owner.Client, name16(h.Open), trim(h.Handle.Object[:]), h.Name, h.Disconnected, h.DeletePending))
		case causeway.HeldLease:
			out = append(out, fmt.Sprintf("lease %s/%s %s %s breaking=%v", h.Lease.Client, trim(h.Lease.Key[:]), trim(h.Handle.Object[:]), showCaching(h.Caching), h.Breaking))
		}
	}
	return out
}

func showEffect(e Effect) string {
	switch e.Kind {
	case Broken:
		ack := ""
		if e.Break.Ack {
			ack = " ack"
		}
		return fmt.Sprintf("break %s/%s %s to %s epoch=%d%s", e.Break.ID.Client, trim(e.Break.ID.Key[:]), showCaching(e.Break.From), showCaching(e.Break.To), e.Break.Epoch, ack)
	case Lost:
		return "lost " + e.Held.Owner.Client + "/" + name16(e.Held.Open)
	case Doomed:
		return "doomed " + trim(e.Handle.Object[:]) + " " + e.Held.Name
	case Unblocked:
		return "unblocked " + trim(e.Handle.Object[:])
	}
	return ""
}

func smbOwner(s string) (causeway.Owner, causeway.OpenID, causeway.Held) {
	client, name, _ := strings.Cut(s, "/")
	var id causeway.OpenID
	copy(id[:], name)
	o := causeway.Owner{Kind: causeway.OwnerSMB, Client: client, Opaque: string(id[:])}
	if strings.HasPrefix(client, "v4") {
		o.Kind, o.Opaque = causeway.OwnerV4, "open-owner"
	}
	return o, id, causeway.Held{Open: id, Owner: o}
}

func name16(id causeway.OpenID) string { return trim(id[:]) }

func trim(b []byte) string { return strings.TrimRight(string(b), "\x00") }

func parseAccess(s string) (a causeway.AccessMask) {
	for c, m := range map[string]causeway.AccessMask{
		"r": causeway.FileReadData, "w": causeway.FileWriteData, "d": causeway.Delete, "a": causeway.FileReadAttributes, "c": causeway.ReadControl,
	} {
		if strings.Contains(s, c) {
			a |= m
		}
	}
	return a
}

func parseShare(s string) (sh causeway.Sharing) {
	for c, m := range map[string]causeway.Sharing{"r": causeway.ShareRead, "w": causeway.ShareWrite, "d": causeway.ShareDelete} {
		if strings.Contains(s, c) {
			sh |= m
		}
	}
	return sh
}

func parseCaching(s string) (c causeway.Caching) {
	for k, m := range map[string]causeway.Caching{"R": causeway.CacheRead, "H": causeway.CacheHandle, "W": causeway.CacheWrite} {
		if strings.Contains(s, k) {
			c |= m
		}
	}
	return c
}

func showCaching(c causeway.Caching) string {
	if c == 0 {
		return "-"
	}
	s := ""
	for _, k := range []struct {
		m causeway.Caching
		s string
	}{{causeway.CacheRead, "R"}, {causeway.CacheWrite, "W"}, {causeway.CacheHandle, "H"}} {
		if c&k.m != 0 {
			s += k.s
		}
	}
	return s
}
