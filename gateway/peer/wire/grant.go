package wire

import (
	"math"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// Grant makes a request for a grant.
func Grant(s *gateway.GrantSpec) *peerpb.Request {
	r := About(peerpb.Op_GRANT, nil, s.Handle)
	r.Grant = &peerpb.GrantSpec{
		Mode: uint32(s.Mode), Span: span(s.Span), Leases: uint32(s.Leases), Name: []byte(s.Name), List: uint32(s.List), Cookie: s.Cookie,
		Epoch: epoch(s.Epoch),
	}
	return r
}

// WithGrant asks for the right to write what a CREATE makes, to come with its reply if that costs nobody anything.
func WithGrant(create *peerpb.Request) {
	create.Grant = &peerpb.GrantSpec{Mode: uint32(causeway.IOReadWrite)}
}

// Held makes a request about grants that are held: to renew them, or, with a commit or without, to give one back or make what was
// written part of the file.
func Held(op peerpb.Op, v causeway.VolumeID, held []gateway.Held, c *gateway.Commit) *peerpb.Request {
	r := &peerpb.Request{Op: op, Volume: uint64(v), Commit: commit(c)}
	for i := range held {
		r.Held = append(r.Held, heldOf(&held[i]))
	}
	return r
}

// Recall makes the request that ends grants.
func Recall(s *gateway.Recall) *peerpb.Request {
	r := About(peerpb.Op_RECALL, nil, s.Handle)
	r.Epoch = epoch(s.Epoch)
	r.Recall = &peerpb.Recall{Seq: s.Seq, Mode: uint32(s.Mode), Leases: uint32(s.Leases), Gone: s.Gone, Epoch: r.Epoch}
	return r
}

// layouts execute what is about grants, for the gateway whose name the network knows.
var layouts = map[peerpb.Op]func(c *call) *peerpb.Reply{
	peerpb.Op_GRANT: (*call).grantNow,
	peerpb.Op_RENEW: (*call).renew,
	peerpb.Op_COMMIT: func(c *call) *peerpb.Reply {
		return c.settle(func(held gateway.Held, what *gateway.Commit) error {
			return c.access.Commit(c.ctx, c.by.Gateway, Epoch(c.r.Epoch), held, what)
		})
	},
	peerpb.Op_RETURN: func(c *call) *peerpb.Reply {
		return c.settle(func(held gateway.Held, what *gateway.Commit) error {
			return c.access.Return(c.ctx, c.by.Gateway, Epoch(c.r.Epoch), held, what)
		})
	},
}

func (c *call) grantNow() *peerpb.Reply {
	s := c.grantSpec(c.r.Grant)
	s.Handle, s.Holder, s.NoWait = c.h, c.by.Gateway, c.by.NoWait
	if c.bad {
		return Failed(causeway.ErrInval)
	}
	g, err := c.access.Grant(c.ctx, &s)
	out := &peerpb.Reply{Eof: g.EOF}
	if err == nil {
		out.Grant = grantOf(&g.Grant)
	}
	for i := range g.Entries {
		e := dirEntry(&g.Entries[i].DirEntry)
		e.Seq = g.Entries[i].Seq
		out.Entries = append(out.Entries, e)
	}
	setError(out, err)
	return out
}

// grantFirst returns the right to write a file that was made, if nobody else holds it and it can be had at once.
func (c *call) grantFirst(made *gateway.Entry) *causeway.Grant {
	if made.Attr.Type != causeway.TypeRegular {
		return nil
	}
	g, err := c.access.Grant(c.ctx, &gateway.GrantSpec{
		Holder: c.by.Gateway, Handle: made.Handle, Mode: causeway.IOReadWrite, Span: causeway.Span{Length: causeway.ToEOF}, NoWait: true, First: true,
	})
	if err != nil || g.Seq == 0 {
		return nil
	}
	return &g.Grant
}

func (c *call) renew() *peerpb.Reply {
	held := c.held(c.r.Held, c.h.Volume)
	if c.bad {
		return Failed(causeway.ErrInval)
	}
	ended, err := c.access.Renew(c.ctx, c.by.Gateway, Epoch(c.r.Epoch), held)
	return HeldReply(ended, err)
}

// settle is for what is about one grant and what must be committed.
func (c *call) settle(do func(gateway.Held, *gateway.Commit) error) *peerpb.Reply {
	held, what := c.held(c.r.Held, c.h.Volume), c.commit(c.r.Commit)
	if c.bad || len(held) != 1 {
		return Failed(causeway.ErrInval)
	}
	return Failed(do(held[0], &what))
}

// GrantReply returns what a gateway got.
func GrantReply(r *peerpb.Reply, v causeway.VolumeID) (out gateway.GrantReply, err error) {
	var d decoder
	if !d.check(len(r.Entries) <= gateway.MaxGrantList) {
		return out, causeway.ErrServerFault
	}
	out.Grant, out.EOF = d.grant(r.Grant, v), r.Eof
	for _, p := range r.Entries {
		out.Entries = append(out.Entries, gateway.GrantEntry{DirEntry: d.dirEntry(p), Seq: p.GetSeq()})
	}
	if d.bad || r.Code == 0 && r.Grant == nil {
		return gateway.GrantReply{}, causeway.ErrServerFault
	}
	return out, Error(r)
}

// HeldReply makes the reply that lists grants.
func HeldReply(held []gateway.Held, err error) *peerpb.Reply {
	out := Failed(err)
	for i := range held {
		out.Held = append(out.Held, heldOf(&held[i]))
	}
	return out
}

// HeldOf returns the grants that a reply lists.
func HeldOf(r *peerpb.Reply, v causeway.VolumeID) ([]gateway.Held, error) {
	var d decoder
	held := d.held(r.Held, v)
	if d.bad {
		return nil, causeway.ErrServerFault
	}
	return held, Error(r)
}

// RecallOf returns what a request wants to end.
func RecallOf(r *peerpb.Request) (gateway.Recall, error) {
	var d decoder
	s := gateway.Recall{
		Handle: causeway.Handle{Volume: causeway.VolumeID(r.Volume), Object: d.object(r.Object)}, Epoch: Epoch(r.Epoch),
		Seq: r.Recall.GetSeq(), Mode: d.mode(r.Recall.GetMode()), Leases: d.leases(r.Recall.GetLeases()), Gone: r.Recall.GetGone(),
	}
	d.check(r.Recall != nil)
	return s, d.err()
}

// CommitReply makes the reply of a recall.
func CommitReply(c *gateway.Commit, err error) *peerpb.Reply {
	out := Failed(err)
	out.Commit = commit(c)
	return out
}

// CommitOf returns what the reply of a recall says must be committed.
func CommitOf(r *peerpb.Reply) (gateway.Commit, error) {
	var d decoder
	c := d.commit(r.Commit)
	if d.bad {
		return gateway.Commit{}, causeway.ErrServerFault
	}
	return c, Error(r)
}

// grantOf makes the message of a grant. The lease is counted by its receiver from the moment when he sent the request.
func grantOf(g *causeway.Grant) *peerpb.Grant {
	out := &peerpb.Grant{
		Object: object(&g.Handle.Object), Locator: g.Locator, Mode: uint32(g.Mode), Span: span(g.Span), Attr: attr(&g.Attr),
		LeaseNs: uint64(max(0, g.Lease)), Epoch: epoch(g.Epoch), Seq: g.Seq, Leases: uint32(g.Leases), Guarded: g.Guarded,
		Extents: extents(g.Extents),
	}
	for _, s := range g.Deny {
		out.Deny = append(out.Deny, span(s))
	}
	return out
}

func (d *decoder) grant(g *peerpb.Grant, v causeway.VolumeID) (out causeway.Grant) {
	if g == nil {
		return out
	}
	if !d.check(len(g.Deny) <= maxDeny && len(g.Locator) <= maxLocator && g.LeaseNs <= math.MaxInt64) {
		return out
	}
	out = causeway.Grant{
		Handle: causeway.Handle{Volume: v, Object: d.object(g.Object)}, Locator: g.Locator, Mode: d.mode(g.Mode), Span: d.span(g.Span),
		Attr: d.attr(g.Attr), Lease: time.Duration(g.LeaseNs), Epoch: Epoch(g.Epoch), Seq: g.Seq, Leases: d.leases(g.Leases),
		Guarded: g.Guarded, Extents: d.extents(g.Extents),
	}
	for _, s := range g.Deny {
		out.Deny = append(out.Deny, d.span(s))
	}
	return out
}

func (d *decoder) grantSpec(s *peerpb.GrantSpec) (out gateway.GrantSpec) {
	if !d.check(s != nil) || !d.check(s.List <= gateway.MaxGrantList) {
		return out
	}
	return gateway.GrantSpec{
		Epoch: Epoch(s.Epoch), Mode: d.mode(s.Mode), Span: d.span(s.Span), Leases: d.leases(s.Leases), Name: d.name(s.Name, maxName),
		List: int(s.List), Cookie: s.Cookie,
	}
}

func extents(list []causeway.Extent) []*peerpb.Extent {
	var out []*peerpb.Extent
	for _, e := range list {
		out = append(out, &peerpb.Extent{
			Device: e.Device, FileOffset: e.FileOffset, DeviceOffset: e.DeviceOffset, Length: e.Length, State: uint32(e.State),
		})
	}
	return out
}

func (d *decoder) extents(list []*peerpb.Extent) []causeway.Extent {
	if !d.check(len(list) <= maxExtents) || len(list) == 0 {
		return nil
	}
	out := make([]causeway.Extent, len(list))
	for i, e := range list {
		d.check(e.GetState() <= uint32(causeway.ExtentHole))
		out[i] = causeway.Extent{
			Device: e.GetDevice(), FileOffset: e.GetFileOffset(), DeviceOffset: e.GetDeviceOffset(), Length: e.GetLength(),
			State: causeway.ExtentState(e.GetState()),
		}
	}
	return out
}

func heldOf(h *gateway.Held) *peerpb.Held {
	return &peerpb.Held{Object: object(&h.Handle.Object), Mode: uint32(h.Mode), Span: span(h.Span), Leases: uint32(h.Leases), Seq: h.Seq, Written: h.Written}
}

func (d *decoder) held(list []*peerpb.Held, v causeway.VolumeID) []gateway.Held {
	if !d.check(len(list) <= MaxHeld) || len(list) == 0 {
		return nil
	}
	out := make([]gateway.Held, len(list))
	for i, h := range list {
		out[i] = gateway.Held{
			Handle: causeway.Handle{Volume: v, Object: d.object(h.GetObject())}, Mode: d.mode(h.GetMode()), Span: d.span(h.GetSpan()),
			Leases: d.leases(h.GetLeases()), Seq: h.GetSeq(), Written: h.GetWritten(),
		}
	}
	return out
}

func commit(c *gateway.Commit) *peerpb.Commit {
	if c == nil || !c.Written && len(c.Extents) == 0 {
		return nil
	}
	return &peerpb.Commit{Written: c.Written, Size: c.Size, Mtime: fileTime(c.Mtime), Ctime: fileTime(c.Ctime), Extents: extents(c.Extents)}
}

func (d *decoder) commit(c *peerpb.Commit) (out gateway.Commit) {
	if c == nil {
		return out
	}
	return gateway.Commit{Written: c.Written, Size: c.Size, Mtime: d.time(c.Mtime), Ctime: d.time(c.Ctime), Extents: d.extents(c.Extents)}
}

// mode takes 0 too: leases only.
func (d *decoder) mode(m uint32) causeway.IOMode {
	d.check(m <= uint32(causeway.IOReadWrite))
	return causeway.IOMode(m)
}

func (d *decoder) leases(l uint32) causeway.Leases {
	d.check(l < 2*uint32(causeway.LeaseNames))
	return causeway.Leases(l)
}
