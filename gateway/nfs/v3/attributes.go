package v3

import (
	"context"

	"causeway"
	"causeway/gateway/nfs/rpc"
)

// getAttr is RFC 1813 §3.3.1.
func (s *Server) getAttr(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire := handle(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var attr causeway.Attr
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		attr, err = s.access.GetAttr(ctx, &c.Caller, h)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	if err == nil {
		putAttr(&c.Reply, h.Volume, &attr)
	}
	return rpc.Done
}

// setAttr is RFC 1813 §3.3.2.
func (s *Server) setAttr(ctx context.Context, c *rpc.Call) rpc.Verdict {
	var set causeway.SetAttr
	var guard *causeway.Time
	wire := handle(&c.Args)
	bad := sattr(&c.Args, &set)
	if c.Args.Bool() {
		t := nfsTime(&c.Args)
		guard = &t
	}
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var change causeway.Change
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		err = bad
	}
	if err == nil {
		change, err = s.access.SetAttr(ctx, &c.Caller, h, &set, guard)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putWcc(&c.Reply, h.Volume, &change)
	return rpc.Done
}

// The bits of ACCESS (RFC 1813 §3.3.4).
const (
	accessRead uint32 = 1 << iota
	accessLookup
	accessModify
	accessExtend
	accessDelete
	accessExecute
)

// checkAccess is RFC 1813 §3.3.4.
func (s *Server) checkAccess(ctx context.Context, c *rpc.Call) rpc.Verdict {
	wire, want := handle(&c.Args), c.Args.Uint32()
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var attr causeway.Attr
	var rights causeway.Rights
	h, _, _, err := s.guard.Admit(c, wire)
	if err == nil {
		rights, attr, err = s.access.Access(ctx, &c.Caller, h, causeway.MayRead|causeway.MayWrite|causeway.MayExec)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	putPostOp(&c.Reply, h.Volume, &attr)
	if err == nil {
		c.Reply.Uint32(want & accessBits(attr.Type, rights, c.Caller.ReadOnly))
	}
	return rpc.Done
}

// accessBits translates rights. Changing the entries of a directory needs the right to search it as well. LOOKUP and DELETE
// mean nothing for files, EXECUTE nothing for directories. An export that forbids changes still lets one write to devices,
// sockets and FIFOs: those are the client's own.
func accessBits(t causeway.FileType, rights causeway.Rights, readOnly bool) (bits uint32) {
	if rights&causeway.MayRead != 0 {
		bits |= accessRead
	}
	canChange := rights&causeway.MayWrite != 0
	if t == causeway.TypeDirectory {
		canSearch := rights&causeway.MayExec != 0
		if canSearch {
			bits |= accessLookup
		}
		if canChange && canSearch && !readOnly {
			bits |= accessModify | accessExtend | accessDelete
		}
		return bits
	}
	if rights&causeway.MayExec != 0 {
		bits |= accessExecute
	}
	if canChange && !(readOnly && (t == causeway.TypeRegular || t == causeway.TypeSymlink)) {
		bits |= accessModify | accessExtend
	}
	return bits
}
