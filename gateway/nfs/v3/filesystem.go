package v3

import (
	"context"

	"causeway"
	"causeway/gateway/nfs/rpc"
)

// fsStat is RFC 1813 §3.3.18. The figures may change at any time: invarsec is 0.
func (s *Server) fsStat(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire := handle(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var stat causeway.FSStat
	var attr causeway.Attr
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		stat, attr, err = s.access.StatFS(ctx, &c.Caller, h)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putPostOp(&c.Reply, h.Volume, &attr)
	if err == nil {
		for _, n := range [...]uint64{stat.TotalBytes, stat.FreeBytes, stat.AvailBytes, stat.TotalFiles, stat.FreeFiles, stat.AvailFiles} {
			c.Reply.Uint64(n)
		}
		c.Reply.Uint32(0)
	}
	return rpc.Done
}

const (
	transferUnit = 4096     // rtmult, wtmult: the size of a page, not a rule
	preferredDir = 64 << 10 // dtpref: some hundred entries with attributes, listed while others wait for less than a millisecond

	fsLink        = 0x01 // FSF3_LINK
	fsSymlink     = 0x02
	fsHomogeneous = 0x08 // PATHCONF is the same for all objects of the volume
	fsCanSetTime  = 0x10

	// maxLinks is what PATHCONF says: storages differ (ext4 takes 65,000), and no client counts.
	maxLinks = 65000
)

// fsInfo is RFC 1813 §3.3.19.
func (s *Server) fsInfo(ctx context.Context, c *rpc.Call) rpc.Verdict {
	return s.static(ctx, c, func(*causeway.Volume) {
		e := &c.Reply
		for range 2 { // read, write
			e.Uint32(causeway.MaxTransfer)
			e.Uint32(causeway.MaxTransfer)
			e.Uint32(transferUnit)
		}
		e.Uint32(preferredDir)
		e.Uint64(maxOffset)
		putTime(e, causeway.Time{Nsec: 1}) // time_delta
		e.Uint32(fsLink | fsSymlink | fsHomogeneous | fsCanSetTime)
	})
}

// pathConf is RFC 1813 §3.3.20.
func (s *Server) pathConf(ctx context.Context, c *rpc.Call) rpc.Verdict {
	return s.static(ctx, c, func(v *causeway.Volume) {
		e := &c.Reply
		e.Uint32(maxLinks)
		e.Uint32(causeway.MaxName)
		e.Bool(true) // no_trunc
		e.Bool(true) // chown_restricted
		e.Bool(v.SMB.CaseInsensitive)
		e.Bool(true) // case_preserving
	})
}

// static answers what is the same for all objects, with the attributes of the one that was asked about.
func (s *Server) static(ctx context.Context, c *rpc.Call, put func(*causeway.Volume)) rpc.Verdict {
	wire := handle(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var attr causeway.Attr
	h, v, _, err := s.guard.Admit(c, wire)
	if err == nil {
		attr, err = s.access.GetAttr(ctx, &c.Caller, h)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putPostOp(&c.Reply, h.Volume, &attr)
	if err == nil {
		put(v)
	}
	return rpc.Done
}
