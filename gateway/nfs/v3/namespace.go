package v3

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
)

// lookup is RFC 1813 §3.3.3.
func (s *Server) lookup(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire, name := dirOp(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var found gateway.Entry
	var dirAttr causeway.Attr
	dir, v, _, err := s.guard.Admit(c, wire)
	if err == nil {
		err = checkName(name)
	}
	if err == nil {
		found, dirAttr, err = s.access.Lookup(ctx, &c.Caller, dir, name)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	if err == nil {
		putHandle(&c.Reply, v, found.Handle.Object)
		putPostOp(&c.Reply, dir.Volume, &found.Attr)
	}
	putPostOp(&c.Reply, dir.Volume, &dirAttr)
	return rpc.Done
}

// readLink is RFC 1813 §3.3.5.
func (s *Server) readLink(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire := handle(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var target string
	var attr causeway.Attr
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		target, attr, err = s.access.ReadLink(ctx, &c.Caller, h)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putPostOp(&c.Reply, h.Volume, &attr)
	if err == nil {
		c.Reply.String(target)
	}
	return rpc.Done
}

// remove is RFC 1813 §3.3.12.
func (s *Server) remove(ctx context.Context, c *rpc.Call) rpc.Verdict {
	return s.removeKind(ctx, c, gateway.RemoveFile)
}

// rmdir is RFC 1813 §3.3.13.
func (s *Server) rmdir(ctx context.Context, c *rpc.Call) rpc.Verdict {
	return s.removeKind(ctx, c, gateway.RemoveDir)
}

func (s *Server) removeKind(ctx context.Context, c *rpc.Call, kind gateway.RemoveKind) rpc.Verdict {
	wire, name := dirOp(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var change causeway.Change
	dir, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		err = checkName(name)
	}
	if err == nil {
		change, err = s.access.Remove(ctx, &c.Caller, dir, name, kind)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putWcc(&c.Reply, dir.Volume, &change)
	return rpc.Done
}

// rename is RFC 1813 §3.3.14.
func (s *Server) rename(ctx context.Context, c *rpc.Call) rpc.Verdict {
	fromWire, name := dirOp(&c.Args)
	toWire, newName := dirOp(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var fromChange, toChange causeway.Change
	from, to, err := s.admitTwo(c, fromWire, toWire)
	if err == nil {
		err = checkName(name)
	}
	if err == nil {
		err = checkName(newName)
	}
	if err == nil {
		fromChange, toChange, err = s.access.Rename(ctx, &c.Caller, from, name, to, newName)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putWcc(&c.Reply, from.Volume, &fromChange)
	putWcc(&c.Reply, to.Volume, &toChange)
	return rpc.Done
}

// link is RFC 1813 §3.3.15.
func (s *Server) link(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire := handle(&c.Args)
	dirWire, name := dirOp(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var attr causeway.Attr
	var change causeway.Change
	h, dir, err := s.admitTwo(c, wire, dirWire)
	if err == nil {
		err = checkName(name)
	}
	if err == nil {
		attr, change, err = s.access.Link(ctx, &c.Caller, h, dir, name)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putPostOp(&c.Reply, h.Volume, &attr)
	putWcc(&c.Reply, dir.Volume, &change)
	return rpc.Done
}

// admitTwo admits a call to two objects, which must be of one volume. A client learns that they are not only if it may use
// both.
func (s *Server) admitTwo(c *rpc.Call, firstWire, secondWire []byte) (first, second causeway.Handle, err error) {
	if first, _, _, err = s.guard.Admit(c, firstWire); err != nil {
		return first, second, err
	}
	if second, _, _, err = s.guard.Admit(c, secondWire); err != nil {
		return first, second, err
	}
	if first.Volume != second.Volume {
		return first, second, causeway.ErrXDev
	}
	return first, second, nil
}
