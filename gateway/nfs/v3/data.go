package v3

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
)

const (
	// inlineWrite is the size in bytes from which a WRITE is not done on a goroutine that reads sockets: beyond it, copying
	// into the storage's memory keeps other connections waiting for longer than handing the call over takes.
	inlineWrite = 64 << 10

	// maxDatagram bounds data in a reply by UDP, in bytes.
	maxDatagram = 32 << 10

	readHead = 4 + 4 + 4 // count, eof, length of the data
)

// read is RFC 1813 §3.3.6. The bytes are read straight into the reply, whose head is filled in afterwards, or are sent by the
// RPC server from the file's own descriptor.
func (s *Server) read(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire, off, count := handle(&c.Args), c.Args.Uint64(), c.Args.Uint32()
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	n := int(min(count, causeway.MaxTransfer))
	c.Large = n >= rpc.Bulk
	if c.Large && c.NoWait && !c.LargeNow {
		return rpc.Park
	}
	if c.Datagram {
		n = min(n, maxDatagram)
	}
	off = min(off, maxOffset)
	n = int(min(uint64(n), maxOffset-off))
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil && c.Large && !c.NoWait {
		if err = s.readRange(ctx, c, h, off, n); err == nil {
			return rpc.Done
		}
		if causeway.CodeOf(err) == causeway.ErrNotSupp {
			err = nil
		}
	}
	start := c.Reply.Len()
	var result gateway.ReadResult
	if err == nil {
		dst := c.Reply.Reserve(4 + postOpSize + readHead + n)[4+postOpSize+readHead:]
		result, err = s.transfer.Read(ctx, &c.Caller, h, off, dst)
	}
	if parks(c, err) {
		return rpc.Park
	}
	if err != nil {
		c.Reply.Truncate(start)
		s.status(ctx, c, err)
		putPostOp(&c.Reply, h.Volume, &result.Attr)
		return rpc.Done
	}
	s.finishRead(ctx, c, start, h.Volume, &result)
	return rpc.Done
}

// finishRead fills in the head of a reply whose data stands in place behind the room for it.
func (s *Server) finishRead(ctx context.Context, c *rpc.Call, start int, v causeway.VolumeID, r *gateway.ReadResult) {
	e := &c.Reply
	head := start + 4 + postOpSize
	e.Truncate(start)
	s.status(ctx, c, nil)
	e.Reserve(postOpSize + readHead + r.N)
	e.PatchUint32(head, uint32(r.N))
	e.PatchUint32(head+4, wireBool(r.EOF))
	e.PatchUint32(head+8, uint32(r.N))
	copy(e.Reserve(-r.N&3), zeros[:])
	fillPostOp(e, start+4, v, &r.Attr)
}

var zeros [4]byte

func wireBool(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// readRange answers a READ with a range of the file's descriptor.
func (s *Server) readRange(ctx context.Context, c *rpc.Call, h causeway.Handle, off uint64, n int) error {
	r, err := s.transfer.ReadRange(ctx, &c.Caller, h, off, n)
	if err != nil {
		return err
	}
	s.status(ctx, c, nil)
	putPostOp(&c.Reply, h.Volume, &r.Attr)
	c.Reply.Uint32(uint32(r.N))
	c.Reply.Bool(r.EOF)
	c.Reply.Uint32(uint32(r.N))
	if r.N == 0 {
		r.Hold.Release()
		return nil
	}
	c.File = r
	return nil
}

// write is RFC 1813 §3.3.7. More data than wtmax is written in part: the count in the reply tells.
func (s *Server) write(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire, off, count := handle(&c.Args), c.Args.Uint64(), c.Args.Uint32()
	how := causeway.Stability(min(c.Args.Uint32(), 255))
	data := c.Args.Opaque(maxOpaque)
	if how > causeway.FileSync {
		c.Args.Fail()
	}
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	c.Large = len(data) >= inlineWrite
	if c.NoWait && (how != causeway.Unstable || c.Large && !c.LargeNow) {
		return rpc.Park
	}
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		err = checkWrite(off, count, len(data))
	}
	var result gateway.WriteResult
	if err == nil {
		result, err = s.transfer.Write(ctx, &c.Caller, h, off, data[:min(len(data), causeway.MaxTransfer)], how)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putWcc(&c.Reply, h.Volume, &result.Change)
	if err == nil {
		c.Reply.Uint32(uint32(result.N))
		c.Reply.Uint32(uint32(result.Stable))
		c.Reply.Fixed(result.Verifier[:])
	}
	return rpc.Done
}

// maxOpaque is no bound of its own: the record's size is.
const maxOpaque = 1<<31 - 1

// checkWrite refuses a count that is not the length of the data (nothing in the RFC says which of the two would count) and
// ranges that no file can have.
func checkWrite(off uint64, count uint32, length int) error {
	if uint64(count) != uint64(length) {
		return causeway.ErrInval
	}
	if off > maxOffset || uint64(length) > maxOffset-off {
		return causeway.ErrFBig
	}
	return nil
}

// commit is RFC 1813 §3.3.21. A count of 0 means to the end of the file.
func (s *Server) commit(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire, span := handle(&c.Args), causeway.Span{Offset: c.Args.Uint64(), Length: uint64(c.Args.Uint32())}
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	if c.NoWait {
		return rpc.Park
	}
	if span.Length == 0 {
		span.Length = causeway.ToEOF
	}
	var result gateway.SyncResult
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		result, err = s.transfer.Sync(ctx, &c.Caller, h, span)
	}
	s.status(ctx, c, err)
	putWcc(&c.Reply, h.Volume, &result.Change)
	if err == nil {
		c.Reply.Fixed(result.Verifier[:])
	}
	return rpc.Done
}
