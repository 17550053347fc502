package wire

import (
	"net/netip"
	"slices"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// caller copies what is borrowed: a call that is given up may still be about to be sent.
func caller(c *gateway.Caller) *peerpb.Caller {
	out := &peerpb.Caller{Uid: c.Cred.UID, Gid: c.Cred.GID, Groups: slices.Clone(c.Cred.Groups), ReadOnly: c.ReadOnly, Wrote: c.Wrote}
	if c.Open != (causeway.OpenID{}) {
		out.Open = append([]byte(nil), c.Open[:]...)
	}
	if c.Op != (causeway.OpID{}) {
		out.Op = append([]byte(nil), c.Op[:]...)
	}
	if c.Owner != (causeway.Owner{}) {
		out.Owner = owner(&c.Owner)
	}
	if c.Client.IsValid() {
		out.Client = c.Client.AsSlice()
	}
	return out
}

func (d *decoder) caller(c *peerpb.Caller) *gateway.Caller {
	if c == nil {
		return &gateway.Caller{Cred: causeway.Cred{UID: causeway.Nobody, GID: causeway.Nobody}, ReadOnly: true}
	}
	d.check(len(c.Groups) <= maxGroups)
	out := &gateway.Caller{
		Cred: causeway.Cred{UID: c.Uid, GID: c.Gid, Groups: c.Groups}, ReadOnly: c.ReadOnly, Wrote: c.Wrote, Owner: d.owner(c.Owner),
	}
	if len(c.Open) > 0 && d.check(len(c.Open) == len(out.Open)) {
		copy(out.Open[:], c.Open)
	}
	if len(c.Op) > 0 && d.check(len(c.Op) == len(out.Op)) {
		copy(out.Op[:], c.Op)
	}
	if len(c.Client) > 0 {
		var ok bool
		out.Client, ok = netip.AddrFromSlice(c.Client)
		d.check(ok)
	}
	return out
}

func owner(o *causeway.Owner) *peerpb.Owner {
	return &peerpb.Owner{Kind: uint32(o.Kind), Client: []byte(o.Client), Opaque: []byte(o.Opaque)}
}

func (d *decoder) owner(o *peerpb.Owner) (out causeway.Owner) {
	if o == nil || !d.check(o.Kind <= uint32(causeway.OwnerAware)) {
		return out
	}
	return causeway.Owner{Kind: causeway.OwnerKind(o.Kind), Client: d.name(o.Client, maxOwner), Opaque: d.name(o.Opaque, maxOwner)}
}

func lockSpec(s gateway.LockSpec) *peerpb.LockSpec {
	return &peerpb.LockSpec{Span: span(s.Span), Exclusive: s.Exclusive, Wait: s.Wait, Reclaim: s.Reclaim}
}

func (d *decoder) lockSpec(s *peerpb.LockSpec) gateway.LockSpec {
	return gateway.LockSpec{Span: d.span(s.GetSpan()), Exclusive: s.GetExclusive(), Wait: s.GetWait(), Reclaim: s.GetReclaim()}
}

func lock(l *gateway.Lock) *peerpb.Lock {
	if *l == (gateway.Lock{}) {
		return nil
	}
	return &peerpb.Lock{
		Volume: uint64(l.Handle.Volume), Object: object(&l.Handle.Object), Owner: owner(&l.Owner), Span: span(l.Span), Exclusive: l.Exclusive,
	}
}

func (d *decoder) lock(l *peerpb.Lock) (out gateway.Lock) {
	if l == nil {
		return out
	}
	return gateway.Lock{
		Handle: causeway.Handle{Volume: causeway.VolumeID(l.Volume), Object: d.object(l.Object)},
		Owner:  d.owner(l.Owner), Span: d.span(l.Span), Exclusive: l.Exclusive,
	}
}
