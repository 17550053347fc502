// Package wire converts between the nouns and what gateways send each other, executes a request against a gateway.Access, and
// turns replies into results. All that comes in is checked here: lengths, numbers of closed sets, sizes of lists. What is not as
// it must be is ErrInval, and nothing was done.
//
// Not here: connections, who may ask for what, and epochs, which are gateway/peer's.
package wire

import (
	"causeway"
	"causeway/gateway/peer/peerpb"
)

// Bounds of what is believed. Names and targets may be longer than any that can exist, so that who knows the volume refuses them.
const (
	maxName    = 4 << 10
	maxTarget  = 64 << 10
	maxGroups  = 64 << 10 // Linux's NGROUPS_MAX
	maxACL     = 8 << 10
	maxOwner   = 4 << 10
	maxExtents = 16 << 10
	maxDeny    = 16 << 10
	maxLocator = 4 << 10
	maxLocks   = 64 << 10
	maxObjects = 64
	maxCause   = 200

	// MaxEntries is how many entries of a directory are asked for at most, and MaxListing about how many bytes they may have.
	MaxEntries = 512
	MaxListing = 64 << 10
	// MaxHeld is how many grants one message lists.
	MaxHeld = 64 << 10
)

// decoder remembers that something was not as it must be.
type decoder struct{ bad bool }

func (d *decoder) check(ok bool) bool {
	if !ok {
		d.bad = true
	}
	return ok
}

func (d *decoder) err() error {
	if d.bad {
		return causeway.ErrInval
	}
	return nil
}

// object returns an id without the zero bytes at its end.
func object(id *causeway.ObjectID) []byte {
	n := len(id)
	for n > 0 && id[n-1] == 0 {
		n--
	}
	return append([]byte(nil), id[:n]...)
}

func (d *decoder) object(b []byte) (id causeway.ObjectID) {
	if d.check(len(b) <= len(id)) {
		copy(id[:], b)
	}
	return id
}

// name is for any string with a bound.
func (d *decoder) name(b []byte, most int) string {
	if !d.check(len(b) <= most) {
		return ""
	}
	return string(b)
}

func epoch(e causeway.Epoch) *peerpb.Epoch {
	return &peerpb.Epoch{Incarnation: e.Incarnation, Revision: e.Revision}
}

// EpochOf makes the message of an epoch.
func EpochOf(e causeway.Epoch) *peerpb.Epoch { return epoch(e) }

// Epoch returns the epoch that a message belongs to.
func Epoch(e *peerpb.Epoch) causeway.Epoch {
	return causeway.Epoch{Incarnation: e.GetIncarnation(), Revision: e.GetRevision()}
}

func fileTime(t causeway.Time) *peerpb.Time { return &peerpb.Time{Sec: t.Sec, Nsec: t.Nsec} }

func (d *decoder) time(t *peerpb.Time) causeway.Time {
	d.check(t.GetNsec() < 1e9)
	return causeway.Time{Sec: t.GetSec(), Nsec: t.GetNsec()}
}

func span(s causeway.Span) *peerpb.Span { return &peerpb.Span{Offset: s.Offset, Length: s.Length} }

func (d *decoder) span(s *peerpb.Span) causeway.Span {
	return causeway.Span{Offset: s.GetOffset(), Length: s.GetLength()}
}

func acl(l *causeway.ACL) *peerpb.ACL {
	if l == nil {
		return nil
	}
	out := &peerpb.ACL{Entries: make([]*peerpb.ACLEntry, len(l.Entries))}
	entries := make([]peerpb.ACLEntry, len(l.Entries))
	for i, e := range l.Entries {
		p := &entries[i]
		p.Tag, p.Perm, p.Id = uint32(e.Tag), uint32(e.Perm), e.ID
		out.Entries[i] = p
	}
	return out
}

func (d *decoder) acl(l *peerpb.ACL) *causeway.ACL {
	if l == nil || !d.check(len(l.Entries) <= maxACL) {
		return nil
	}
	out := &causeway.ACL{Entries: make([]causeway.ACLEntry, len(l.Entries))}
	for i, e := range l.Entries {
		if !d.check(e.GetTag() >= 1 && e.GetTag() <= uint32(causeway.ACLOther) && e.GetPerm() <= 7) {
			return nil
		}
		out.Entries[i] = causeway.ACLEntry{Tag: causeway.ACLTag(e.Tag), Perm: causeway.Rights(e.Perm), ID: e.Id}
	}
	return out
}

func attr(a *causeway.Attr) *peerpb.Attr {
	if a.Type == 0 && *a == (causeway.Attr{}) {
		return nil
	}
	return &peerpb.Attr{
		Type: uint32(a.Type), Mode: a.Mode, Nlink: a.Nlink, Uid: a.UID, Gid: a.GID, Size: a.Size, Used: a.Used, Major: a.Major, Minor: a.Minor,
		Fileid: a.FileID, Atime: a.Atime.Sec, AtimeNsec: a.Atime.Nsec, Mtime: a.Mtime.Sec, MtimeNsec: a.Mtime.Nsec, Ctime: a.Ctime.Sec,
		CtimeNsec: a.Ctime.Nsec, Btime: a.Btime.Sec, BtimeNsec: a.Btime.Nsec, Change: a.Change, Acl: acl(a.ACL), Extended: a.Extended,
	}
}

func (d *decoder) attr(a *peerpb.Attr) (out causeway.Attr) {
	if a == nil {
		return out
	}
	const second = 1e9
	d.check(a.Type <= uint32(causeway.TypeFIFO) && a.AtimeNsec < second && a.MtimeNsec < second && a.CtimeNsec < second && a.BtimeNsec < second)
	return causeway.Attr{
		Type: causeway.FileType(a.Type), Mode: a.Mode & causeway.ModeAll, Nlink: a.Nlink, UID: a.Uid, GID: a.Gid, Size: a.Size, Used: a.Used,
		Major: a.Major, Minor: a.Minor, FileID: a.Fileid, Atime: causeway.Time{Sec: a.Atime, Nsec: a.AtimeNsec},
		Mtime: causeway.Time{Sec: a.Mtime, Nsec: a.MtimeNsec}, Ctime: causeway.Time{Sec: a.Ctime, Nsec: a.CtimeNsec},
		Btime: causeway.Time{Sec: a.Btime, Nsec: a.BtimeNsec}, Change: a.Change, ACL: d.acl(a.Acl), Extended: a.Extended,
	}
}

func change(c *causeway.Change) *peerpb.Change {
	before, after := attr(&c.Before), attr(&c.After)
	if before == nil && after == nil {
		return nil
	}
	return &peerpb.Change{Before: before, After: after}
}

func (d *decoder) change(c *peerpb.Change) causeway.Change {
	return causeway.Change{Before: d.attr(c.GetBefore()), After: d.attr(c.GetAfter())}
}

func setAttr(s *causeway.SetAttr) *peerpb.SetAttr {
	out := &peerpb.SetAttr{Mask: uint32(s.Mask), Mode: s.Mode, Uid: s.UID, Gid: s.GID, Size: s.Size, Acl: acl(s.ACL), DefaultAcl: acl(s.DefaultACL)}
	if s.Has(causeway.SetAtime) {
		out.Atime = fileTime(s.Atime)
	}
	if s.Has(causeway.SetMtime) {
		out.Mtime = fileTime(s.Mtime)
	}
	return out
}

func (d *decoder) setAttr(s *peerpb.SetAttr) (out causeway.SetAttr) {
	if s == nil {
		return out
	}
	d.check(s.Mask < 2*uint32(causeway.SetDefaultACL))
	return causeway.SetAttr{
		Mask: causeway.SetMask(s.Mask), Mode: s.Mode, UID: s.Uid, GID: s.Gid, Size: s.Size, Atime: d.time(s.Atime), Mtime: d.time(s.Mtime),
		ACL: d.acl(s.Acl), DefaultACL: d.acl(s.DefaultAcl),
	}
}
