package v3

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

const (
	// maxListing bounds the result of READDIR and READDIRPLUS in bytes, whatever the client asks for.
	maxListing = 256 << 10

	listingHead = postOpSize + 8 // directory attributes, cookie verifier
	listingTail = 4 + 4          // no more entries, eof
)

// listing is a directory being encoded. limit counts the bytes of READDIR3resok with all its XDR overhead (RFC 1813 §3.3.16
// count, §3.3.17 maxcount); names counts file ids, names and cookies only (dircount).
type listing struct {
	e                *xdr.Encoder
	volume           *causeway.Volume
	plus             bool
	from, limit      int
	names, nameLimit int
	entries          int
}

// readDir is RFC 1813 §3.3.16.
func (s *Server) readDir(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire, cookie := handle(&c.Args), c.Args.Uint64()
	c.Args.Fixed(8) // the cookie verifier: ours never changes, because cookies are the storage's
	count := c.Args.Uint32()
	return s.list(ctx, c, wire, cookie, listing{limit: int(min(count, maxListing)), nameLimit: maxListing})
}

// readDirPlus is RFC 1813 §3.3.17.
func (s *Server) readDirPlus(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire, cookie := handle(&c.Args), c.Args.Uint64()
	c.Args.Fixed(8)
	dirCount, maxCount := c.Args.Uint32(), c.Args.Uint32()
	return s.list(ctx, c, wire, cookie, listing{plus: true, limit: int(min(maxCount, maxListing)), nameLimit: int(min(dirCount, maxListing))})
}

func (s *Server) list(ctx context.Context, c *rpc.Call, wire []byte, cookie uint64, l listing) rpc.Verdict {
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	if c.NoWait && l.limit >= rpc.Bulk {
		return rpc.Park
	}
	if c.Datagram {
		l.limit = min(l.limit, maxDatagram)
	}
	want := gateway.WantNames
	if l.plus {
		want = gateway.WantAttr
	}
	start := c.Reply.Len()
	var attr causeway.Attr
	var eof bool
	dir, v, _, err := s.guard.Admit(c, wire)
	if err == nil {
		l.begin(&c.Reply, v)
		attr, eof, err = s.access.ReadDir(ctx, &c.Caller, dir, cookie, want, l.add)
	}
	if parks(c, err) {
		return rpc.Park
	}
	if err == nil && l.entries == 0 && (!eof || l.limit < listingHead+listingTail) {
		err = causeway.ErrTooSmall
	}
	if err != nil {
		c.Reply.Truncate(start)
		s.status(ctx, c, err)
		putPostOp(&c.Reply, dir.Volume, &attr)
		return rpc.Done
	}
	c.Reply.PatchUint32(start, uint32(ok))
	c.Reply.Bool(false)
	c.Reply.Bool(eof)
	fillPostOp(&c.Reply, l.from, dir.Volume, &attr)
	s.counts[c.Proc][ok.index()].Add(1)
	return rpc.Done
}

// begin makes room for what stands before the entries: the directory's attributes are known only behind them.
func (l *listing) begin(e *xdr.Encoder, v *causeway.Volume) {
	l.e, l.volume = e, v
	e.Uint32(uint32(ok))
	l.from = e.Len()
	e.Reserve(postOpSize)
	e.Uint64(0) // cookieverf3
}

// add encodes an entry if it fits. The first one is taken even when it exceeds dircount, which is advice: so every call that
// can make progress makes some.
func (l *listing) add(d *causeway.DirEntry) bool {
	name := 8 + 4 + (len(d.Name)+3)&^3 + 8
	size := 4 + name
	if l.plus {
		size += 4 + 4
		if d.Attr.Valid() {
			size += fattrSize
		}
		if !d.Object.IsZero() {
			size += postOpFHSize - 4
		}
	}
	if l.e.Len()-l.from+size+listingTail > l.limit || l.entries > 0 && l.names+name > l.nameLimit {
		return false
	}
	l.entries++
	l.names += name
	l.e.Bool(true)
	l.e.Uint64(d.FileID)
	l.e.String(d.Name)
	l.e.Uint64(d.Cookie)
	if l.plus {
		putPostOp(l.e, l.volume.ID, &d.Attr)
		putPostOpHandle(l.e, l.volume, d.Object)
	}
	return true
}
