package wire

import (
	"math"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// maxOpens bounds the opens of one list.
const maxOpens = 16 << 10

// Open makes a request to open.
func Open(c *gateway.Caller, h causeway.Handle, s *gateway.OpenSpec) *peerpb.Request {
	r := Create(c, h, s.Name, &s.Create)
	r.Op = peerpb.Op_OPEN
	r.Open = &peerpb.OpenSpec{
		Disposition: uint32(s.Disposition), Create: r.Create, OnlyDir: s.OnlyDir, NoDir: s.NoDir, Access: uint32(s.Access), Share: uint32(s.Share),
		DeleteOnClose: s.DeleteOnClose, KeepNs: uint64(max(0, s.Keep.For)), Guid: append([]byte(nil), s.Keep.GUID[:]...), Upgrade: s.Upgrade,
		Reclaim: s.Reclaim, Lease: &peerpb.LeaseSpec{
			Id: leaseID(&s.Lease.ID), Caching: uint32(s.Lease.Caching), Parent: append([]byte(nil), s.Lease.Parent[:]...), V2: s.Lease.V2, Epoch: uint32(s.Lease.Epoch),
		},
	}
	r.Create = nil
	return r
}

// OpenID makes a request about an open.
func OpenID(op peerpb.Op, c *gateway.Caller, h causeway.Handle, id causeway.OpenID) *peerpb.Request {
	r := About(op, c, h)
	r.Id = id[:]
	return r
}

// Lease makes a request about a lease.
func Lease(op peerpb.Op, c *gateway.Caller, h causeway.Handle, id causeway.LeaseID) *peerpb.Request {
	r := About(op, c, h)
	r.Lease = leaseID(&id)
	return r
}

// Watch makes a request about a watch.
func Watch(op peerpb.Op, c *gateway.Caller, dir causeway.Handle, id gateway.WatchID) *peerpb.Request {
	r := About(op, c, dir)
	r.Watch = watchID(&id)
	return r
}

// opens execute what is for protocols that open.
var opens = map[peerpb.Op]func(c *call) *peerpb.Reply{
	peerpb.Op_XATTR: (*call).xattr, peerpb.Op_SET_XATTR: (*call).setXattr, peerpb.Op_REMOVE_XATTR: (*call).removeXattr,
	peerpb.Op_LIST_XATTRS: (*call).listXattrs,
	peerpb.Op_OPEN: func(c *call) *peerpb.Reply {
		return c.open(func() (gateway.Opened, error) {
			spec := c.openSpec(c.r.Open)
			if c.bad {
				return gateway.Opened{}, causeway.ErrInval
			}
			spec.Name = c.name
			return c.stateful.Open(c.ctx, c.by, c.h, &spec)
		})
	},
	peerpb.Op_RECONNECT: func(c *call) *peerpb.Reply {
		return c.open(func() (gateway.Opened, error) {
			var guid [16]byte
			c.fixed(guid[:], c.r.Guid)
			id, lease := c.openID(), c.leaseID(c.r.Lease)
			if c.bad {
				return gateway.Opened{}, causeway.ErrInval
			}
			return c.stateful.Reconnect(c.ctx, c.by, c.h, id, guid, lease)
		})
	},
	peerpb.Op_DISCONNECT: func(c *call) *peerpb.Reply {
		return c.withOpen(func(id causeway.OpenID) error { return c.stateful.Disconnect(c.ctx, c.by, c.h, id) })
	},
	peerpb.Op_DOWNGRADE: func(c *call) *peerpb.Reply {
		return c.withOpen(func(id causeway.OpenID) error {
			return c.stateful.Downgrade(c.ctx, c.by, c.h, id, causeway.AccessMask(c.r.Arg), causeway.Sharing(c.r.Share&uint32(causeway.ShareAll)))
		})
	},
	peerpb.Op_SET_DELETE: func(c *call) *peerpb.Reply {
		return c.withOpen(func(id causeway.OpenID) error { return c.stateful.SetDelete(c.ctx, c.by, c.h, id, c.r.Flag) })
	},
	peerpb.Op_CLOSE: func(c *call) *peerpb.Reply {
		removed := false
		out := c.withOpen(func(id causeway.OpenID) (err error) {
			removed, err = c.stateful.Close(c.ctx, c.by, c.h, id)
			return err
		})
		out.Removed = removed
		return out
	},
	peerpb.Op_ACKNOWLEDGE: func(c *call) *peerpb.Reply {
		id, caching := c.leaseID(c.r.Lease), c.caching(c.r.Arg)
		if c.bad {
			return Failed(causeway.ErrInval)
		}
		state, err := c.stateful.Acknowledge(c.ctx, c.by, c.h, id, caching)
		out := Failed(err)
		out.Lease = leaseState(&state)
		return out
	},
	peerpb.Op_OPENS: func(c *call) *peerpb.Reply {
		list, err := c.stateful.Opens(c.ctx, c.h.Volume)
		out := Failed(err)
		for i := range list[:min(len(list), maxOpens)] {
			out.Opens = append(out.Opens, opened(&list[i]))
		}
		return out
	},
	peerpb.Op_ADMIT: func(c *call) *peerpb.Reply {
		return Failed(c.stateful.Admit(c.ctx, c.by, c.h, c.span(c.r.Span), c.r.Flag))
	},
	peerpb.Op_WATCH: func(c *call) *peerpb.Reply {
		id := c.watchID(c.r.Watch)
		if c.bad {
			return Failed(causeway.ErrInval)
		}
		return Failed(c.stateful.Watch(c.ctx, c.by, c.h, id, gateway.NoticeFilter(c.r.Arg), c.r.Flag))
	},
	peerpb.Op_UNWATCH: func(c *call) *peerpb.Reply {
		id := c.watchID(c.r.Watch)
		if c.bad {
			return Failed(causeway.ErrInval)
		}
		return Failed(c.stateful.Unwatch(c.ctx, c.h, id))
	},
}

func (c *call) open(do func() (gateway.Opened, error)) *peerpb.Reply {
	o, err := do()
	out := Failed(err)
	out.Opened = opened(&o)
	return out
}

func (c *call) withOpen(do func(causeway.OpenID) error) *peerpb.Reply {
	id := c.openID()
	if c.bad {
		return Failed(causeway.ErrInval)
	}
	return Failed(do(id))
}

func (c *call) openID() (id causeway.OpenID) {
	c.fixed(id[:], c.r.Id)
	return id
}

func (d *decoder) openSpec(s *peerpb.OpenSpec) (out gateway.OpenSpec) {
	if !d.check(s != nil) || !d.check(s.Disposition <= uint32(gateway.OverwriteOrMake) && s.KeepNs <= math.MaxInt64 && s.Share <= uint32(causeway.ShareAll)) {
		return out
	}
	l := s.GetLease()
	d.check(l.GetEpoch() <= math.MaxUint16)
	out = gateway.OpenSpec{
		Disposition: gateway.Disposition(s.Disposition), Create: d.createSpec(s.Create), OnlyDir: s.OnlyDir, NoDir: s.NoDir,
		Access: causeway.AccessMask(s.Access), Share: causeway.Sharing(s.Share), DeleteOnClose: s.DeleteOnClose, Upgrade: s.Upgrade, Reclaim: s.Reclaim,
		Lease: gateway.LeaseSpec{ID: d.leaseID(l.GetId()), Caching: d.caching(l.GetCaching()), V2: l.GetV2(), Epoch: uint16(l.GetEpoch())},
		Keep:  gateway.KeepSpec{For: time.Duration(s.KeepNs)},
	}
	d.fixed(out.Lease.Parent[:], l.GetParent())
	d.fixed(out.Keep.GUID[:], s.Guid)
	return out
}

func leaseState(s *gateway.LeaseState) *peerpb.LeaseState {
	return &peerpb.LeaseState{
		Id: leaseID(&s.ID), Caching: uint32(s.Caching), Breaking: s.Breaking, Epoch: uint32(s.Epoch), Parent: append([]byte(nil), s.Parent[:]...),
	}
}

func (d *decoder) leaseState(s *peerpb.LeaseState) (out gateway.LeaseState) {
	if s == nil || !d.check(s.Epoch <= math.MaxUint16) {
		return out
	}
	out = gateway.LeaseState{ID: d.leaseID(s.Id), Caching: d.caching(s.Caching), Breaking: s.Breaking, Epoch: uint16(s.Epoch)}
	d.fixed(out.Parent[:], s.Parent)
	return out
}

func opened(o *gateway.Opened) *peerpb.Opened {
	return &peerpb.Opened{
		Object: object(&o.Handle.Object), Attr: attr(&o.Attr), Id: append([]byte(nil), o.ID[:]...), Owner: owner(&o.Owner), Action: uint32(o.Action),
		Dir: change(&o.Dir), Access: uint32(o.Access), Share: uint32(o.Share), Lease: leaseState(&o.Lease), KeepNs: uint64(max(0, o.Keep)), Delete: o.Delete,
	}
}

func (d *decoder) opened(o *peerpb.Opened, v causeway.VolumeID) (out gateway.Opened) {
	if o == nil || !d.check(o.Action <= uint32(gateway.Overwritten) && o.KeepNs <= math.MaxInt64 && o.Share <= uint32(causeway.ShareAll)) {
		return out
	}
	out = gateway.Opened{
		Entry: gateway.Entry{Attr: d.attr(o.Attr)}, Owner: d.owner(o.Owner), Action: gateway.OpenAction(o.Action), Dir: d.change(o.Dir),
		Access: causeway.AccessMask(o.Access), Share: causeway.Sharing(o.Share), Lease: d.leaseState(o.Lease), Keep: time.Duration(o.KeepNs), Delete: o.Delete,
	}
	if len(o.Object) > 0 {
		out.Handle = causeway.Handle{Volume: v, Object: d.object(o.Object)}
	}
	d.fixed(out.ID[:], o.Id)
	return out
}

// OpenedOf returns the open that a reply tells.
func OpenedOf(r *peerpb.Reply, v causeway.VolumeID) (gateway.Opened, error) {
	var d decoder
	o := d.opened(r.Opened, v)
	if d.bad {
		return gateway.Opened{}, causeway.ErrServerFault
	}
	return o, Error(r)
}

// LeaseOf returns the state of a lease that a reply tells.
func LeaseOf(r *peerpb.Reply) (gateway.LeaseState, error) {
	var d decoder
	s := d.leaseState(r.Lease)
	if d.bad {
		return gateway.LeaseState{}, causeway.ErrServerFault
	}
	return s, Error(r)
}

// OpensOf returns the opens that a reply lists.
func OpensOf(r *peerpb.Reply, v causeway.VolumeID) (list []gateway.Opened, err error) {
	var d decoder
	if !d.check(len(r.Opens) <= maxOpens) {
		return nil, causeway.ErrServerFault
	}
	for _, o := range r.Opens {
		list = append(list, d.opened(o, v))
	}
	if d.bad {
		return nil, causeway.ErrServerFault
	}
	return list, Error(r)
}
