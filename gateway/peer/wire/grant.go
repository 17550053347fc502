package wire

import (
	"math"
	"time"

	"causeway"
	"causeway/gateway/peer/peerpb"
)

// grantOf makes the message of a grant. The lease is counted by its receiver from the moment when he sent the request.
func grantOf(g *causeway.Grant) *peerpb.Grant {
	out := &peerpb.Grant{
		Object: object(&g.Handle.Object), Locator: g.Locator, Mode: uint32(g.Mode), Span: span(g.Span), Attr: attr(&g.Attr),
		LeaseNs: uint64(g.Lease), Epoch: epoch(g.Epoch), Seq: g.Seq,
	}
	for _, e := range g.Extents {
		out.Extents = append(out.Extents, &peerpb.Extent{
			Device: e.Device, FileOffset: e.FileOffset, DeviceOffset: e.DeviceOffset, Length: e.Length, State: uint32(e.State),
		})
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
	if !d.check(len(g.Extents) <= maxExtents && len(g.Deny) <= maxDeny && len(g.Locator) <= maxLocator && g.LeaseNs <= math.MaxInt64) {
		return out
	}
	out = causeway.Grant{
		Handle: causeway.Handle{Volume: v, Object: d.object(g.Object)}, Locator: g.Locator, Mode: d.mode(g.Mode), Span: d.span(g.Span),
		Attr: d.attr(g.Attr), Lease: time.Duration(g.LeaseNs), Epoch: Epoch(g.Epoch), Seq: g.Seq,
	}
	for _, e := range g.Extents {
		d.check(e.GetState() <= uint32(causeway.ExtentHole))
		out.Extents = append(out.Extents, causeway.Extent{
			Device: e.GetDevice(), FileOffset: e.GetFileOffset(), DeviceOffset: e.GetDeviceOffset(), Length: e.GetLength(),
			State: causeway.ExtentState(e.GetState()),
		})
	}
	for _, s := range g.Deny {
		out.Deny = append(out.Deny, d.span(s))
	}
	return out
}

func (d *decoder) mode(m uint32) causeway.IOMode {
	d.check(m == uint32(causeway.IORead) || m == uint32(causeway.IOReadWrite))
	return causeway.IOMode(m)
}

// Recall makes the request that ends a grant.
func Recall(h causeway.Handle, gone bool) *peerpb.Request {
	return &peerpb.Request{Op: peerpb.Op_RECALL, Volume: uint64(h.Volume), Object: object(&h.Object), Gone: gone}
}

// RecallOf returns what a request wants to end.
func RecallOf(r *peerpb.Request) (h causeway.Handle, gone bool, err error) {
	var d decoder
	h = causeway.Handle{Volume: causeway.VolumeID(r.Volume), Object: d.object(r.Object)}
	return h, r.Gone, d.err()
}
